"""Commands for schools: scores of classes and monitoring, under the same disclosure rule as the functions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from relmeasure.cli.answers import read_answers
from relmeasure.cli.display import console, print_table
from relmeasure.cli.options import (
    ColumnsOpt,
    DataArg,
    DecimalOpt,
    EngineOpt,
    InstrumentArg,
    JsonOpt,
    OutOpt,
    ScalesOpt,
    SepOpt,
    UnknownOpt,
)
from relmeasure.cli.running import show_result, told, working
from relmeasure.cli.tables import read_table, refuse_input, write_table
from relmeasure.exceptions import ColumnNotFoundError, DataError, OptionError
from relmeasure.instruments import load_instrument
from relmeasure.studies.classrooms import classroom_scores
from relmeasure.studies.monitoring import monitor

if TYPE_CHECKING:
    from relmeasure.results import Table

__all__ = ["classes_command", "monitor_command"]

_ROWS_SHOWN = 60
"""Rows of a table that still fit a screen or two."""

_SHOWN = {"wave": "wave", "cluster": "class", "scale": "scale", "n": "n", "mean": "mean", "lower": "lower"}
_SHOWN |= {"upper": "upper", "reliability": "reliability", "share_below": "share below", "status": "status"}

_PARTS = ("totals", "subgroups", "subgroup-totals")
"""What is written beside the table of classes."""

ClusterOpt = Annotated[str, typer.Option(help="Column with the class or teacher.")]
LevelOpt = Annotated[Literal["class", "teacher", "school"], typer.Option(help="What the cluster is.")]
WaveOpt = Annotated[str | None, typer.Option(help="Column with the survey wave.")]
SchoolOpt = Annotated[
    str | None, typer.Option(help="Column with the school: its totals are published, and what they would give away.")
]
DiscloseOpt = Annotated[int, typer.Option(help="Below so many students nothing is shown.")]
ReportOpt = Annotated[int, typer.Option(help="Below so many students a mean is marked.")]
ReliabilityOpt = Annotated[float, typer.Option(help="A mean of lower reliability is marked.")]


def classes_command(
    instrument: InstrumentArg,
    data: DataArg,
    cluster: ClusterOpt = "class_id",
    level: LevelOpt = "class",
    wave: WaveOpt = None,
    school: SchoolOpt = None,
    by: Annotated[str | None, typer.Option(help="Column with a subgroup of students: a table of its own.")] = None,
    weights: Annotated[str | None, typer.Option(help="Column with sampling weights.")] = None,
    roster: Annotated[
        Path | None, typer.Option(help="Table with the class column and a column 'roster': students on the roll.")
    ] = None,
    below: Annotated[float | None, typer.Option(help="Report the share of students below this score.")] = None,
    min_disclose: DiscloseOpt = 6,
    min_report: ReportOpt = 15,
    min_reliability: ReliabilityOpt = 0.70,
    scales: ScalesOpt = None,
    engine: EngineOpt = "pandas",
    unknown: UnknownOpt = "raise",
    sep: SepOpt = None,
    decimal: DecimalOpt = ".",
    columns: ColumnsOpt = None,
    out: OutOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """Score classes: mean, interval, reliability of the class mean, and what must not be shown.

    With --out the classes are written to the file, totals and subgroups beside it.
    """
    beside = [_beside(out, what) for what in _PARTS] if out is not None else []
    for written in (out, *beside):
        refuse_input(written, data, roster, columns, Path(instrument))
    loaded = load_instrument(instrument)
    with working("scoring classes"), told(quiet=True):
        result = classroom_scores(
            loaded,
            read_answers(loaded, data, engine, sep=sep, decimal=decimal, columns=columns).by_item,
            cluster=cluster,
            level=level,
            wave=wave,
            school=school,
            by=by,
            weights=weights,
            roster=None if roster is None else _roster(roster, cluster),
            below=below,
            scales=scales,
            min_disclose=min_disclose,
            min_report=min_report,
            min_reliability=min_reliability,
            unknown=unknown,
        )
    if out is not None:
        write_table(_frame(result.table), out)
        parts = (result.totals, result.subgroups, result.subgroup_totals)
        for part, path in list(zip(parts, beside, strict=True))[: 1 if by is None else 3]:
            write_table(_frame(part), path)
    if not as_json:
        _print(result.table, out)
    show_result(result, as_json)
    if result.status.level == "failed":
        raise typer.Exit(1)


def monitor_command(
    instrument: InstrumentArg,
    data: DataArg,
    cluster: ClusterOpt = "class_id",
    level: LevelOpt = "class",
    wave: WaveOpt = None,
    earlier: Annotated[str | None, typer.Option(help="Label of the earlier wave, where labels have no order.")] = None,
    later: Annotated[str | None, typer.Option(help="Label of the later wave.")] = None,
    student: Annotated[str | None, typer.Option(help="Column with an id that is the same in both waves.")] = None,
    school: SchoolOpt = None,
    standard: Annotated[float | None, typer.Option(help="Score that a class should reach.")] = None,
    lowest: Annotated[float, typer.Option(help="Without a standard: share of true class means that is weak.")] = 0.20,
    change_against: Annotated[
        Literal["zero", "average"], typer.Option(help="A fall, or one beyond the average change.")
    ] = "zero",
    fdr: Annotated[float, typer.Option(help="Share of false signs that is accepted.")] = 0.10,
    min_disclose: DiscloseOpt = 6,
    min_report: ReportOpt = 15,
    min_reliability: ReliabilityOpt = 0.70,
    scales: ScalesOpt = None,
    engine: EngineOpt = "pandas",
    unknown: UnknownOpt = "raise",
    sep: SepOpt = None,
    decimal: DecimalOpt = ".",
    columns: ColumnsOpt = None,
    seed: Annotated[int, typer.Option(help="Seed of the rank intervals.")] = 0,
    out: OutOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """Look for classes with weak scores or a fall since the wave before: support needed, look again, no sign."""
    refuse_input(out, data, columns, Path(instrument))
    compare = None if earlier is None or later is None else (earlier, later)
    if compare is None and not (earlier is None and later is None):
        raise OptionError("--earlier and --later go together: give the labels of both waves.")
    loaded = load_instrument(instrument)
    with working("looking at classes"), told(quiet=True):
        result = monitor(
            loaded,
            read_answers(loaded, data, engine, sep=sep, decimal=decimal, columns=columns).by_item,
            cluster=cluster,
            level=level,
            wave=wave,
            compare=compare,
            student=student,
            school=school,
            standard=standard,
            lowest=lowest,
            change_against=change_against,
            fdr=fdr,
            scales=scales,
            min_disclose=min_disclose,
            min_report=min_report,
            min_reliability=min_reliability,
            unknown=unknown,
            rng=seed,
        )
    if out is not None:
        write_table(_frame(result.table), out)
    show_result(result, as_json)
    if result.status.level == "failed":
        raise typer.Exit(1)


# --------------------------------------------------------------------------- helpers
def _print(table: Table, out: Path | None) -> None:
    if len(table) <= _ROWS_SHOWN:
        used = {name for name, values in table.columns.items() if any(v is not None and v == v for v in values)}
        print_table(table, columns={name: head for name, head in _SHOWN.items() if name in used})
    elif out is None:
        console.print(f"{len(table)} rows of classes and scales: write them to a file with --out.", highlight=False)


def _frame(table: Table) -> Any:
    """A pandas frame in which counts stay whole numbers where some are hidden."""
    frame = table.to_frame()
    for name, values in table.columns.items():
        if any(isinstance(value, int) for value in values) and all(isinstance(v, (int, type(None))) for v in values):
            frame[name] = frame[name].astype("Int64")
    return frame


def _beside(out: Path, what: str) -> Path:
    return out.with_name(f"{out.stem}-{what}{out.suffix}")


def _roster(path: Path, cluster: str) -> dict[str, int]:
    """Students on the roll of each class."""
    frame = read_table(path)
    for column in (cluster, "roster"):
        if column not in frame.columns:
            raise ColumnNotFoundError.from_names([column], list(frame.columns), what="roster")
    rolls: dict[str, int] = {}
    for label, size in zip(frame[cluster].tolist(), frame["roster"].tolist(), strict=True):
        number = _whole(size)
        if number is None:
            raise OptionError(f"--roster: class '{label}' has '{size}' students on the roll: a whole number is needed.")
        if str(label) in rolls:
            raise DataError(f"--roster: class '{label}' stands twice in {path}: one row a class is needed.")
        rolls[str(label)] = number
    return rolls


def _whole(size: Any) -> int | None:
    text = str(size).strip()
    return int(text) if text.isdecimal() else None
