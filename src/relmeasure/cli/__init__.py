"""The command line: ``relmeasure list | show | form | template | new | lint | check | score | reliability | ...``.

Exit codes: 0 done (``check``: the scores can be used), 1 ``check`` found that they should not be used (with
``--strict``: or only with care), ``lint`` found a problem, ``classes`` and ``monitor`` may show no class, or ``cycle``
has no answer, 2 a wrong call, wrong data or a missing extra, 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from relmeasure._version import __version__
from relmeasure.classical import reliability as compute_reliability
from relmeasure.cli.answers import read_answers
from relmeasure.cli.authoring import form_command, lint_command, new_command, template_command
from relmeasure.cli.classes import classes_command, monitor_command
from relmeasure.cli.cycle import cycle_command
from relmeasure.cli.demo import DEFAULT_SEED, run_demo
from relmeasure.cli.display import console, errors, print_instrument, print_json, print_table
from relmeasure.cli.options import (
    ColumnsOpt,
    DataArg,
    DecimalOpt,
    EngineOpt,
    InstrumentArg,
    JsonOpt,
    LangOpt,
    OutOpt,
    ScalesOpt,
    SepOpt,
    UnknownOpt,
)
from relmeasure.cli.running import show_result, told, working
from relmeasure.cli.tables import refuse_input, write_table, write_text
from relmeasure.cli.wording import in_options
from relmeasure.exceptions import OptionError, RelmeasureError, TooFewObservationsError
from relmeasure.instruments import json_schema, list_instruments, load_instrument
from relmeasure.reports import instrument_page
from relmeasure.results import Table
from relmeasure.samplestats.moments import MissingMethod
from relmeasure.scoring import score as compute_scores
from relmeasure.studies.screening import check as run_check

__all__ = ["app", "main"]

_INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

app = typer.Typer(
    name="relmeasure",
    help="Measure teacher-student relationships and instructional practice: instruments, scores, reliability.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; every error that is ours is one line on standard error and exit code 2."""
    try:
        code = app(standalone_mode=False)  # typer.Exit(code) comes back as the code, an interrupt as 130
        if code == _INTERRUPTED:
            errors.print("interrupted")
        sys.exit(code)
    except (typer.Abort, KeyboardInterrupt):
        errors.print("interrupted")
        sys.exit(_INTERRUPTED)
    except RelmeasureError as error:
        sentence = in_options(str(error), typer.main.get_command(app), sys.argv[1:])
        errors.print(f"error: {sentence}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:  # a folder that cannot be written; 1 would mean that scores should not be used
        errors.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except Exception as error:  # click's usage errors, whichever module typer takes them from
        if not hasattr(error, "exit_code") or not hasattr(error, "show"):
            raise
        error.show()
        sys.exit(2)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        typer.echo(f"relmeasure {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


@app.command("list")
def list_command(as_json: JsonOpt = False) -> None:
    """List the instruments that are installed."""
    rows = [info.model_dump(mode="json") for info in list_instruments()]
    if as_json:
        print_json(rows)
        return
    table = Table.from_rows([{k: _flat(v) for k, v in row.items()} for row in rows])
    headings = {"id": "id", "version": "version", "status": "status", "kind": "kind", "reporter": "reporter"}
    headings |= {"n_items": "items", "n_scales": "scales", "licence": "licence"}
    print_table(table, columns={k: v for k, v in headings.items() if k in table.columns})


@app.command()
def show(
    instrument: InstrumentArg,
    lang: LangOpt = None,
    as_json: JsonOpt = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the page for documentation.")] = False,
) -> None:
    """Print an instrument: items with keys and answers, scales, blueprint, licence, figures with sources."""
    loaded = load_instrument(instrument)
    if lang is not None and lang not in loaded.languages:
        raise OptionError.from_value("--lang", lang, loaded.languages)
    if as_json and as_markdown:
        raise OptionError("--json and --markdown exclude each other: give one of them.")
    if as_markdown:
        typer.echo(instrument_page(loaded), nl=False)
    elif as_json:
        print_json(loaded.model_dump(mode="json", exclude_defaults=True))
    else:
        print_instrument(loaded, lang)


app.command("form")(form_command)
app.command("template")(template_command)
app.command("new")(new_command)
app.command("lint")(lint_command)


@app.command()
def schema(out: Annotated[Path | None, typer.Option("--out", "-o", help="Write it to this file.")] = None) -> None:
    """Print the JSON Schema of instrument files."""
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    if out is None:
        typer.echo(text)
    else:
        write_text(text + "\n", out)


@app.command()
def check(
    instrument: InstrumentArg,
    data: DataArg,
    engine: EngineOpt = "pandas",
    unknown: UnknownOpt = "raise",
    scales: ScalesOpt = None,
    sep: SepOpt = None,
    decimal: DecimalOpt = ".",
    columns: ColumnsOpt = None,
    strict: Annotated[bool, typer.Option(help="Exit with 1 also when the answer is 'with care'.")] = False,
    as_json: JsonOpt = False,
) -> None:
    """Say whether the scores can be used: codes, keys, missing answers, floor and ceiling, one dimension or more."""
    loaded = load_instrument(instrument)
    with working("checking"), told(quiet=True):
        answers = read_answers(loaded, data, engine, sep=sep, decimal=decimal, columns=columns)
        result = run_check(loaded, answers.by_item, unknown=unknown, scales=scales)
    show_result(result, as_json)
    if result.status.level == "failed" or (strict and result.status.level == "caution"):
        raise typer.Exit(1)


@app.command()
def score(
    instrument: InstrumentArg,
    data: DataArg,
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the data with the score columns appended.")],
    engine: EngineOpt = "pandas",
    unknown: UnknownOpt = "raise",
    prefix: Annotated[str, typer.Option(help="Prefix of the score columns.")] = "",
    scales: ScalesOpt = None,
    sep: SepOpt = None,
    decimal: DecimalOpt = ".",
    columns: ColumnsOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """Append score, number of valid answers and reason of a missing score for every scale."""
    refuse_input(out, data, columns, Path(instrument))
    loaded = load_instrument(instrument)
    with working("scoring"), told():
        answers = read_answers(loaded, data, engine, sep=sep, decimal=decimal, columns=columns, out=out)
        scored = compute_scores(
            loaded, answers.frame, prefix=prefix, scales=scales, unknown=unknown, columns=answers.columns
        )
        write_table(scored, out)
    names = [f"{prefix}{scale}" for scale in (scales or loaded.scale_ids)]
    if as_json:
        print_json({"out": str(out), "scores": names})
    else:
        console.print(f"wrote {out}: {len(names)} scores ({', '.join(names)})", markup=False, highlight=False)


@app.command()
def reliability(
    instrument: InstrumentArg,
    data: DataArg,
    engine: EngineOpt = "pandas",
    unknown: UnknownOpt = "raise",
    missing: Annotated[MissingMethod, typer.Option(help="Rows with a missing answer.")] = "listwise",
    scales: ScalesOpt = None,
    sep: SepOpt = None,
    decimal: DecimalOpt = ".",
    columns: ColumnsOpt = None,
    out: OutOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """Report the reliability of every scale, with interval, N and the rule that made the N."""
    refuse_input(out, data, columns, Path(instrument))
    loaded = load_instrument(instrument)
    with working("estimating reliability"), told(quiet=True):
        answers = read_answers(loaded, data, engine, sep=sep, decimal=decimal, columns=columns)
        result = compute_reliability(loaded, answers.by_item, scales=scales, missing=missing, unknown=unknown)
    if not any(result.table["n_rows"]):
        raise TooFewObservationsError(f"{data} has a header and no rows: there are no answers to look at.", n_rows=0)
    if out is not None:
        write_table(result.to_frame(), out)
    show_result(result, as_json)


app.command("classes")(classes_command)
app.command("monitor")(monitor_command)
app.command("cycle")(cycle_command)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the tables; made if needed.")] = Path(
        "relmeasure-demo"
    ),
    seed: Annotated[int, typer.Option(help="Seed of the simulated school.")] = DEFAULT_SEED,
) -> None:
    """Simulate a school with known reliability, then check, score and report it, and say what the tables mean."""
    with told(quiet=True):
        run_demo(out, seed)


# --------------------------------------------------------------------------- helpers
def _flat(value: Any) -> Any:
    if isinstance(value, dict):
        return value.get("en") or next(iter(value.values()), "")
    return value
