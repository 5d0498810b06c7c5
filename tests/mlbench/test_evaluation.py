"""Metrics of anybody's embeddings: against a plain reference, against pytorch-metric-learning, and with bad input."""

import numpy as np
import pandas as pd
import pytest
import torch

import mlbench
from mlbench.api import ConfigError, DataError
from mlbench.evaluation import Retrieval, concatenate, evaluate_file, measure

KS = (1, 2, 4, 8)


def clusters(seed, classes=12, each=5, size=8, spread=0.8):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centres = rng.normal(size=(classes, size))
    return (centres[labels] + spread * rng.normal(size=(len(labels), size))).astype(np.float32), labels


def tied():
    """Few distinct points, so that nearly every distance occurs many times."""
    rng = np.random.default_rng(1)
    return rng.integers(1, 3, size=(60, 3)).astype(np.float32), rng.integers(0, 12, size=60)


def duplicated():
    embeddings, labels = clusters(2)
    return np.concatenate([embeddings, embeddings[:20]]), np.concatenate([labels, labels[:20] + 1])


def with_singletons():
    embeddings, labels = clusters(3)
    labels[::6] = 100 + np.arange(len(labels[::6]))
    return embeddings, labels


CASES = {"random": lambda: clusters(0), "tied": tied, "duplicated": duplicated, "singletons": with_singletons}


def cosines(queries, gallery):
    """Rounded: embeddings that are the same but for their length are at equal distance."""
    queries, gallery = queries.astype(np.float64), gallery.astype(np.float64)
    lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(gallery, axis=1)
    return np.round(queries @ gallery.T / lengths, 12)


def by_hand(embeddings, labels, gallery=None, gallery_labels=None):
    """The definitions, one query after the other; ties go to the lowest index."""
    square = gallery is None
    gallery, gallery_labels = (embeddings, labels) if square else (gallery, gallery_labels)
    rows = []
    for index, scores in enumerate(cosines(embeddings, gallery)):
        order = [other for other in np.argsort(-scores, kind="stable") if not (square and other == index)]
        hits = [bool(gallery_labels[other] == labels[index]) for other in order]
        positives = sum(hits)
        if positives:
            precisions = [sum(hits[: i + 1]) / (i + 1) if hits[i] else 0.0 for i in range(positives)]
            row = {"map_at_r": sum(precisions) / positives, "r_precision": sum(hits[:positives]) / positives}
            rows.append(row | {f"recall_at_{k}": any(hits[:k]) for k in KS})
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} | {
        "queries": len(rows),
        "lone_queries": len(labels) - len(rows),
    }


def named(found):
    values = {"map_at_r": found.map_at_r, "r_precision": found.r_precision}
    values |= {f"recall_at_{k}": value for k, value in found.recall_at.items()}
    return values | {"queries": found.queries, "lone_queries": found.lone_queries}


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_the_metrics_are_those_of_the_definitions(case):
    embeddings, labels = CASES[case]()
    assert named(mlbench.evaluate(embeddings, labels)) == pytest.approx(by_hand(embeddings, labels), abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_the_metrics_are_those_of_pytorch_metric_learning(case):
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    def nearest(query, k, reference, reference_includes_query):
        # Its own searches pick any of several neighbours at equal distance; the lowest index is one of them.
        scores = torch.from_numpy(cosines(query.numpy(), reference.numpy())).fill_diagonal_(-2.0)
        found = scores.sort(dim=1, descending=True, stable=True)
        return found.values[:, :k], found.indices[:, :k]

    embeddings, labels = CASES[case]()
    unit = torch.nn.functional.normalize(torch.from_numpy(embeddings).double(), dim=1)
    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    calculator = AccuracyCalculator(include=names, k="max_bin_count", knn_func=nearest)
    theirs = calculator.get_accuracy(unit, torch.from_numpy(labels))
    ours = mlbench.evaluate(unit, labels)
    assert ours.recall_at[1] == pytest.approx(theirs["precision_at_1"], abs=1e-6)
    assert ours.r_precision == pytest.approx(theirs["r_precision"], abs=1e-6)
    assert ours.map_at_r == pytest.approx(theirs["mean_average_precision_at_r"], abs=1e-6)


def test_queries_are_ranked_against_a_gallery():
    embeddings, labels = clusters(5)
    gallery, gallery_labels = clusters(6, classes=10)
    found = mlbench.evaluate(embeddings, labels, gallery, gallery_labels)
    assert named(found) == pytest.approx(by_hand(embeddings, labels, gallery, gallery_labels), abs=1e-9)
    assert found.lone_queries == 2 * 5  # two classes are not in the gallery


def test_a_gallery_of_the_same_images_finds_each_query_itself():
    embeddings, labels = clusters(5, spread=9.0)
    assert mlbench.evaluate(embeddings, labels, embeddings, labels).recall_at[1] == 1.0
    assert mlbench.evaluate(embeddings, labels).recall_at[1] < 0.5


def test_squared_euclidean_distance_minds_lengths_and_cosine_does_not():
    embeddings = [[1.0, 0.0], [9.0, 0.1], [1.0, 0.6], [9.0, -6.0]]  # neighbours by angle, and by length
    angles, lengths = [0, 0, 1, 1], [0, 1, 0, 1]
    assert mlbench.evaluate(embeddings, angles).recall_at[1] == 0.5
    assert mlbench.evaluate(embeddings, lengths, distance="squared-euclidean").recall_at[1] == 1.0


def test_recall_is_reported_at_the_asked_ks():
    embeddings, labels = clusters(0)
    assert list(mlbench.evaluate(embeddings, labels, recall_at=[3, 50]).recall_at) == [3, 50]


KINDS = {
    "strings": lambda labels: [f"class {label}" for label in labels],
    "bytes": lambda labels: np.array([str(label).encode() for label in labels]),
    "a column of a data frame": lambda labels: pd.Series([f"class {label}" for label in labels]),
    "a column of Python objects": lambda labels: np.array([f"class {label}" for label in labels], dtype=object),
    "negative integers": lambda labels: -7 * labels,
    "a tensor": torch.from_numpy,
    "small integers": lambda labels: labels.astype(np.uint8),
}


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_only_names(kind):
    embeddings, labels = with_singletons()
    assert mlbench.evaluate(embeddings, KINDS[kind](labels)) == mlbench.evaluate(embeddings, labels)


FORMS = {
    "lists": lambda embeddings, folder: embeddings.tolist(),
    "another byte order": lambda embeddings, folder: embeddings.astype(embeddings.dtype.newbyteorder()),
    "a reversed view": lambda embeddings, folder: embeddings[::-1].copy()[::-1],
    "a tensor that trains": lambda embeddings, folder: torch.from_numpy(embeddings).requires_grad_(),
    "a data frame": lambda embeddings, folder: pd.DataFrame(embeddings),
    "mapped from a file": lambda embeddings, folder: mapped(embeddings, folder / "embeddings.npy"),
}


def mapped(embeddings, path):
    np.save(path, embeddings)
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize("form", FORMS)
def test_embeddings_come_in_any_form(form, tmp_path):
    embeddings, labels = clusters(0)
    assert mlbench.evaluate(FORMS[form](embeddings, tmp_path), labels) == mlbench.evaluate(embeddings, labels)


def test_the_metric_component_says_the_same_by_name():
    embeddings, labels = with_singletons()
    found = Retrieval()(torch.from_numpy(embeddings), torch.from_numpy(labels))
    assert found == pytest.approx(by_hand(embeddings, labels), abs=1e-9)


def test_several_metrics_report_together_but_not_the_same_thing_twice():
    embeddings, labels = clusters(0)
    rows, names = torch.as_tensor(embeddings), torch.as_tensor(labels)
    retrieval, spread = Retrieval((1,)), lambda rows, names: {"Spread": float(rows.std())}
    assert measure([retrieval, spread], [rows], [names]) == retrieval(rows, names) | spread(rows, names)
    with pytest.raises(ConfigError, match="two metrics report 'lone_queries'; remove one"):
        measure([retrieval, Retrieval((1, 2))], [rows], [names])


def test_concatenated_embeddings_weigh_every_model_the_same():
    first, second = (clusters(seed)[0] for seed in (7, 8))
    joined = concatenate([torch.from_numpy(1000 * first), torch.from_numpy(second)])
    cosine = np.asarray(joined) @ np.asarray(joined).T / 2
    assert joined.shape == (60, 16)
    assert cosine == pytest.approx((cosines(first, first) + cosines(second, second)) / 2, abs=1e-5)


# -- bad input -------------------------------------------------------------------------------------------------------

GOOD = np.eye(4, dtype=np.float32).repeat(2, axis=0)
LABELS = np.arange(4).repeat(2)


def changed(value):
    damaged = GOOD.copy()
    damaged[5, 1] = value
    return damaged


BAD = {
    "lengths differ": ((GOOD, LABELS[:-1]), r"labels: 7 labels for 8 rows of embeddings"),
    "gallery lengths differ": ((GOOD, LABELS, GOOD, LABELS[1:]), r"gallery_labels: 7 labels for 8 rows of gallery"),
    "NaN": ((changed(np.nan), LABELS), r"embeddings: row 5 contains NaN"),
    "infinite": ((GOOD, LABELS, changed(np.inf), LABELS), r"gallery: row 5 contains an infinite value"),
    "integers": ((GOOD.astype(int), LABELS), r"embeddings must be real numbers.*int64"),
    "an integer tensor": ((torch.eye(8).long(), LABELS), r"embeddings must be real numbers.*int64"),
    "text": ((GOOD.astype(str), LABELS), r"embeddings must be real numbers.*U"),
    "objects": ((GOOD.astype(object), LABELS), r"embeddings must be real numbers.*object"),
    "rows of different length": (([[1.0], [1.0, 2.0]], [0, 0]), r"inhomogeneous"),
    "one dimension": ((GOOD[:, 0], LABELS), r"embeddings: expected shape \[N, D\], got \[8\]"),
    "nothing": ((GOOD[:0], LABELS[:0]), r"embeddings: expected N >= 1"),
    "real labels": ((GOOD, LABELS / 2), r"labels must be integers or strings, got float64"),
    "missing labels": ((GOOD, [None, *LABELS[1:]]), r"labels must be integers or strings, got object"),
    "a table of labels": ((GOOD, LABELS[:, None]), r"labels must be one-dimensional, got shape \(8, 1\)"),
    "gallery without labels": ((GOOD, LABELS, GOOD), r"gallery_labels: None, but gallery came; give both"),
    "labels without gallery": ((GOOD, LABELS, None, LABELS), r"gallery: None, but gallery_labels came; give both"),
    "another dimension": (
        (GOOD, LABELS, GOOD[:, 1:], LABELS),
        r"gallery: dimension 3, but embeddings have dimension 4",
    ),
    "no positive": ((GOOD, np.arange(8)), r"none of the 8 .* has a positive"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arrays_are_refused_by_the_name_the_user_gave_them(case):
    arguments, message = BAD[case]
    with pytest.raises(DataError, match=rf"^evaluate: .*{message}"):
        mlbench.evaluate(*arguments)


@pytest.mark.parametrize("ks", [[0], [], [1.5]])
def test_a_k_that_is_no_whole_number_is_refused(ks):
    with pytest.raises(DataError, match="recall_at"):
        mlbench.evaluate(GOOD, LABELS, recall_at=ks)


def test_an_unknown_distance_is_refused():
    with pytest.raises(DataError, match="'manhattan' is unknown; allowed are cosine, squared-euclidean"):
        mlbench.evaluate(GOOD, LABELS, distance="manhattan")


# -- files -----------------------------------------------------------------------------------------------------------


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_a_file_gives_what_its_arrays_give(tmp_path):
    embeddings, labels = clusters(0)
    file = saved(tmp_path / "mine.npz", embeddings=embeddings, labels=[f"class {label}" for label in labels])
    assert evaluate_file(file) == mlbench.evaluate(embeddings, labels)
    pair = saved(
        tmp_path / "pair.npz", embeddings=embeddings, labels=labels, gallery=GOOD.repeat(2, 1), gallery_labels=LABELS
    )
    assert evaluate_file(pair, (1, 3)) == mlbench.evaluate(
        embeddings, labels, GOOD.repeat(2, 1), LABELS, recall_at=(1, 3)
    )


def objects(path):
    np.savez(path, embeddings=GOOD, labels=np.array([{}] * 8), allow_pickle=True)


def damaged(path):
    saved(path, embeddings=np.random.default_rng(0).normal(size=(200, 8)), labels=np.arange(200) // 2)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def single(path):
    with path.open("wb") as file:
        np.save(file, GOOD)


FILES = {
    "missing": (lambda path: None, "no such file"),
    "empty": (lambda path: path.write_bytes(b""), "not an .npz of plain arrays"),
    "text": (lambda path: path.write_text("embeddings"), "not an .npz of plain arrays"),
    "a single array": (single, "not an .npz of plain arrays"),
    "torn": (
        lambda path: path.write_bytes(saved(path, embeddings=GOOD, labels=LABELS).read_bytes()[:300]),
        "not an .npz",
    ),
    "a flipped bit": (damaged, "not an .npz of plain arrays"),
    "pickled objects": (objects, "not an .npz of plain arrays"),
    "a folder": (lambda path: path.mkdir(), "not an .npz of plain arrays"),
    "no labels": (lambda path: saved(path, embeddings=GOOD), "has no array 'labels', only embeddings"),
    "no arrays": (lambda path: saved(path), "has no array 'embeddings', only nothing"),
    "gallery without labels": (
        lambda path: saved(path, embeddings=GOOD, labels=LABELS, gallery=GOOD),
        "gallery and gallery_labels go together",
    ),
    "lengths differ": (lambda path: saved(path, embeddings=GOOD, labels=LABELS[1:]), "7 labels for 8 rows"),
    "NaN": (lambda path: saved(path, embeddings=changed(np.nan), labels=LABELS), "embeddings: row 5 contains NaN"),
    "integers": (lambda path: saved(path, embeddings=GOOD.astype(int), labels=LABELS), "must be real numbers"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_named_with_what_is_wrong(case, tmp_path):
    write, message = FILES[case]
    path = tmp_path / "mine.npz"
    write(path)
    with pytest.raises(DataError) as refused:
        evaluate_file(path)
    assert str(refused.value).startswith(f"{path}: ") and message in str(refused.value)
