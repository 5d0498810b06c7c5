"""Leaderboard files: Markdown to read, CSV to compute with, JSON with every value."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mlbench.api.errors import StoreError
from mlbench.leaderboard.anytime import search_frame, search_markdown
from mlbench.leaderboard.markdown import table
from mlbench.leaderboard.published import published_section
from mlbench.leaderboard.rows import MARK, UNPACKAGED, rows_of
from mlbench.leaderboard.tables import FORMS, ORIGINS, cost_frame, leaderboard_frame, metric_names
from mlbench.store import Store, in_words
from mlbench.store.atomic import write_text


def write_leaderboard(store: Store, folder: str | Path) -> list[Path]:
    """Write ``leaderboard.{md,csv,json}`` and ``cost.{md,csv}``; of searches ``search.{md,csv}``, ``search-cost.csv``.

    The same records give the same bytes. Timings differ between two equal runs, so they have files of their own.

    Returns:
        The files written.

    Raises:
        StoreError: If the store cannot be read or the folder cannot be written.
    """
    frame, cost = leaderboard_frame(store), cost_frame(store)
    shown = frame.drop(columns=[name for name in ORIGINS if not any(frame[name])])
    texts = {
        "leaderboard.md": leaderboard_markdown(store, frame),
        "leaderboard.csv": _csv(shown.drop(columns=[name for name in shown if name.endswith(".values")])),
        "leaderboard.json": _json(store, shown),
        "cost.md": cost_markdown(store, cost),
        "cost.csv": _csv(cost),
    }
    search = search_frame(store)
    if not search.empty:
        texts |= {
            "search.md": search_markdown(store, search),
            "search.csv": _csv(search.drop(columns="seconds")),
            "search-cost.csv": _csv(search[["method", "trial", "best", "seconds"]]),
        }
    target = _made(Path(folder))
    for name, text in texts.items():
        write_text(target / name, text)
    return [target / name for name in texts]


def publish(store: Store, folder: str | Path) -> list[Path]:
    """Write the leaderboard and, beside it, the records packed into one file: the folder is a store again.

    Models and events stay behind.
    """
    target = _made(Path(folder))
    write_text(target / "store.json", json.dumps(store.header, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    write_text(target / "records.jsonl", "".join(record.to_json() + "\n" for record in store.records()))
    published = [target / "store.json", target / "records.jsonl"]
    return published + write_leaderboard(Store(target), target)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made: {error.strerror}; choose another folder") from None
    return folder


def leaderboard_markdown(store: Store, frame: pd.DataFrame) -> str:
    """The results as Markdown: what was run, a table for each form, what the search chose, what others published."""
    failures = {row.method: in_words(row.failures) for row in rows_of(store)}
    parts = [f"# {store.header['name']}", _about(store, searched=bool(frame["trials"].any()))]
    for form in FORMS:
        parts += [f"## {_TITLES[form]}", table(_form(frame, form, metric_names(store)))]
    parts += ["## Search", _NOTE, table(_search(frame, failures)), *_origins(frame)]
    parts += published_section(store.header["dataset"]["id"])
    return "\n\n".join(parts) + "\n"


def cost_markdown(store: Store, cost: pd.DataFrame) -> str:
    """The cost as Markdown."""
    rows = [
        {
            "Method": line.method,
            "Runs": line.runs,
            "Hours": f"{line.hours:.2f}",
            "Peak memory (MiB)": f"{line.peak_memory_mib:.0f}",
            "Training images/s": f"{line.images_per_second:.0f}" if line.images_per_second else "—",
        }
        for line in cost.itertuples()
    ]
    note = "Hours of one worker over all runs of a method (trials, reproductions, tests); memory of the hungriest run."
    return f"# {store.header['name']}: cost\n\n{note}\n\n{table(rows)}\n"


_TITLES = {
    "separated": "Separated: mean of the fold models",
    "concatenated": "Concatenated: joined embeddings of the fold models",
}
_NOTE = "Selection saw validation classes only. The best trial is shown for the record; it is not a reproduction."


def _about(store: Store, *, searched: bool) -> str:
    header, recipe = store.header, store.header["recipe"]
    model, training, search = recipe["model"], recipe["training"], recipe["search"]
    optimizer = training["optimizer"]
    frozen = "frozen" if model["freeze_batchnorm"] else "trained"
    dataset = header["dataset"]
    vectors, size = dataset.get("vectors", False), recipe["transforms"]["size"]
    lines = {
        "Protocol": f"{recipe['protocol']}, {recipe['folds']} folds, test on unseen classes",
        "Dataset": f"{dataset['id']}: {dataset['items']} {'vectors' if vectors else 'images'}, "
        f"{dataset['classes']} classes{_skipped(recipe['dataset'])}",
        **({"Made of": dataset["origin"]} if "origin" in dataset else {}),
        **({"Split": _component(recipe["split"])} if "split" in recipe else {}),
        "Trunk": f"{model['trunk']['id']} {_arguments(model['trunk']['arguments'])}, batch norm {frozen}",
        "Embedding": f"{model['embedding_size']}-d, linear, L2-normalised",
        **({} if vectors else {"Images": f"{size} × {size}"}),
        "Training": f"batch {training['batch_size']}, at most {training['max_epochs']} epochs of "
        f"{training['iterations_per_epoch']} batches, patience {training['patience']} epochs, "
        f"{optimizer['name']} lr {optimizer['lr']:g}, weight decay {optimizer['weight_decay']:g}",
        "Search": f"{search['trials']} trials of {recipe['folds']} trainings a method, sampler {search['sampler']}, "
        f"objective: validation MAP@R{_stopping(search)}"
        if searched
        else "none, no method leaves anything to it",
        "Intervals": "95% Student t over the reproductions",
        "Recipe": f"`{header['digest'][:16]}`",
    }
    return "\n".join(f"- **{name}**: {text}" for name, text in lines.items())


def _skipped(dataset: dict[str, Any]) -> str:
    skipped = dataset.get("skipped", [])
    shown = ", ".join(skipped[:3]) + (", …" if len(skipped) > 3 else "")
    return f"; {len(skipped)} damaged images skipped ({shown})" if skipped else ""


def _stopping(search: dict[str, Any]) -> str:
    if "stopping" not in search:
        return ""
    epochs = ", ".join(map(str, search["stopping"]["epochs"]))
    return f"; one trial in {search['stopping']['factor']} goes on after epochs {epochs}"


def _arguments(arguments: dict[str, Any]) -> str:
    return "(" + ", ".join(f"{name}={value}" for name, value in sorted(arguments.items())) + ")"


def _component(identity: dict[str, Any]) -> str:
    return " ".join([identity["id"], *([_arguments(identity["arguments"])] if identity["arguments"] else [])])


def _origins(frame: pd.DataFrame) -> list[str]:
    """What of the methods is not of the harness, if anything is."""
    lines = [f"- {_label(line)}: {line['plugins']}" for _, line in frame.iterrows() if line["plugins"]]
    notes = [f"- {line['method']}: {line['unpackaged']}" for _, line in frame.iterrows() if line["unpackaged"]]
    parts = ["## Plugins", "\n".join(lines)] if lines else []
    return parts + ([f"{MARK.strip()} {UNPACKAGED}:", "\n".join(notes)] if notes else [])


def _label(line: "pd.Series[Any]") -> str:
    return f"{line['method']}{MARK if line['unpackaged'] else ''}"


def _form(frame: pd.DataFrame, form: str, metrics: dict[str, str]) -> list[dict[str, Any]]:
    ordered = frame.sort_values(f"{form}.map_at_r", ascending=False, na_position="last", kind="stable")
    return [
        {"": place, "Method": _label(line)}
        | {heading: _percent(line, f"{form}.{metric}") for metric, heading in metrics.items()}
        | {"n": line["n"]}
        for place, (_, line) in enumerate(ordered.iterrows(), 1)
    ]


def _search(frame: pd.DataFrame, failures: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "Method": _label(line),
            "Trials": line["trials"],
            "Best trial": _number(line["best_trial"]),
            "Reproductions, validation": _number(line["validation_map_at_r"]),
            "Chosen": ", ".join(
                f"{k.removeprefix('loss.')}={_short(v)}" for k, v in json.loads(line["hyperparameters"]).items()
            )
            or "—",
            "Runs": line["runs"],
            "Failed": failures[line["method"]] or "0",
        }
        for _, line in frame.iterrows()
    ]


def _percent(line: "pd.Series[Any]", name: str) -> str:
    """``71.20 ± 0.35``, in percent."""
    if not line["n"]:
        return "—"
    half = line[f"{name}.half"]
    return f"{100 * line[name]:.2f}" + ("" if half is None or math.isnan(half) else f" ± {100 * half:.2f}")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    return "—" if value is None or math.isnan(value) else f"{100 * value:.2f}"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _csv(frame: pd.DataFrame) -> str:
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text


def _json(store: Store, frame: pd.DataFrame) -> str:
    header = store.header
    rows = [{name: _finite(value) for name, value in line.items()} for line in frame.to_dict("records")]
    content = {"name": header["name"], "digest": header["digest"], "recipe": header["recipe"], "rows": rows}
    return json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
