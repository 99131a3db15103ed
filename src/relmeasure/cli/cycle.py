"""``relmeasure cycle``: whether relationship goes with later practice, practice with later relationship, or both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from relmeasure.cli.display import errors
from relmeasure.cli.options import DecimalOpt, EngineOpt, JsonOpt, OutOpt, SepOpt
from relmeasure.cli.running import show_result, told
from relmeasure.cli.tables import Reading, read_table, refuse_input, write_table
from relmeasure.instruments import load_instrument
from relmeasure.studies.cycle import reciprocity

__all__ = ["cycle_command"]

DataArg = Annotated[Path, typer.Argument(help="CSV, TSV, Parquet or Arrow file: one row a student and wave.")]
PracticesOpt = Annotated[list[str], typer.Option("--practice", "-p", help="Score of a practice; may be repeated.")]
InstrumentsOpt = Annotated[
    list[str] | None,
    typer.Option("--instrument", "-i", help="Score the answers by this instrument first; may be repeated."),
]
SaveOpt = Annotated[
    Path | None, typer.Option("--save", help="Write the page (.html) or the figure (.png, .svg, .pdf).")
]


def cycle_command(
    data: DataArg,
    relationship: Annotated[str, typer.Option("--relationship", "-r", help="Score of the relationship.")],
    practices: PracticesOpt,
    cluster: Annotated[str, typer.Option(help="Column of the teacher or class.")] = "teacher_id",
    wave: Annotated[str | None, typer.Option(help="Column of the wave; without it, one wave.")] = None,
    by: Annotated[str | None, typer.Option(help="Column of the grade band of a class.")] = None,
    school: Annotated[str | None, typer.Option(help="Column of the school of a class.")] = None,
    student: Annotated[str | None, typer.Option(help="Column of the student, where the same are followed.")] = None,
    instruments: InstrumentsOpt = None,
    draws: Annotated[int, typer.Option(help="Bootstrap draws of classes or schools; 1000 is usual.")] = 0,
    splits: Annotated[int, typer.Option(help="Random halves of the same-rater check.")] = 20,
    workers: Annotated[int, typer.Option(help="Threads of the bootstrap.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of halves and draws.")] = 0,
    save: SaveOpt = None,
    engine: EngineOpt = "pandas",
    sep: SepOpt = None,
    decimal: DecimalOpt = ".",
    out: OutOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """Say whether relationship goes with later practice, practice with later relationship, or both.

    With --out the table of all associations is written to the file.
    """
    for written in (out, save):
        refuse_input(written, data)
    loaded = [load_instrument(name) for name in instruments or ()]
    items = tuple(item for instrument in loaded for item in instrument.item_ids)
    with _bar("halves and draws") as progress, told(quiet=True):
        result = reciprocity(
            read_table(data, engine, Reading(items or (relationship, *practices), sep, decimal)),
            cluster=cluster,
            wave=wave,
            relationship=relationship,
            practices=practices,
            by=by,
            school=school,
            student=student,
            instruments=loaded,
            n_splits=splits,
            n_boot=draws,
            workers=workers,
            rng=seed,
            progress=progress,
        )
    if out is not None:
        write_table(result.to_frame(), out)
    if save is not None:
        result.save(save)
    show_result(result, as_json)
    if result.status.level == "failed":
        raise typer.Exit(1)


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show how many are done, on standard error, when a person is watching."""
    if not errors.is_terminal:
        yield None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
