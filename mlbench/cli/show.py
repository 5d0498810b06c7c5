"""``mlbench show``."""

from typing import Annotated

import typer

from mlbench.cli.options import PluginFiles


def command(
    name: Annotated[str, typer.Argument(help="kind/name (losses/triplet-margin), a method or a benchmark.")],
    plugin: PluginFiles = None,
) -> None:
    """Show a component with its arguments, a named method, or a benchmark with everything filled in."""
    from mlbench.registry.entries import KINDS
    from mlbench.spec.named import named_methods
    from mlbench.spec.shipped import benchmark_names

    kind, _, rest = name.partition("/")
    if kind in KINDS and rest:
        _show_component(kind, rest)
    elif name in named_methods():
        _show_json(named_methods()[name])
    elif name in benchmark_names() or name.endswith(".toml"):
        from mlbench.spec import load_benchmark

        _show_json(load_benchmark(name).model_dump(mode="json"))
    else:
        import difflib

        from mlbench.api.errors import UnknownNameError

        near = difflib.get_close_matches(name, [*named_methods(), *benchmark_names()], n=1)
        hint = f"did you mean {near[0]}?" if near else "see `mlbench ls`"
        raise UnknownNameError(f"show: {name!r} is no kind/name, method or benchmark; {hint}")


def _show_component(kind: str, name: str) -> None:
    from mlbench.registry import find, info_of, load, parameters

    entry = find(kind, name)
    component = load(entry)
    info = info_of(component)
    origin = f"{entry.distribution} {entry.version}, {entry.point.value}" if entry.plugin else "un-packaged"
    print(f"{entry.id}  ({origin})")
    for text in (info.summary, info.citation):
        if text:
            print(text)
    if info.needs:
        print(f"needs: {', '.join(sorted(info.needs))}")
    for parameter in parameters(component).values():
        default = "required" if parameter.required else f"= {parameter.default!r}"
        print(f"  {parameter.name:24} {parameter.kind:12} {default}")
    if info.space:
        print('searched by search = "declared":')
    for argument, dimension in info.space.items():
        bounds = dimension.model_dump(exclude={"type"}, exclude_defaults=True)
        print(f"  {argument:24} {', '.join(f'{key} = {_toml(value)}' for key, value in bounds.items())}")


def _toml(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def _show_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=1, ensure_ascii=False))
