"""Commands that put runs side by side: compare, sweep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chiffres.cli.app import (
    AsJson,
    Language,
    Log,
    On,
    RecipeData,
    Robustness,
    Seeds,
    Settings,
    app,
    as_settings,
    as_trackers,
    file_name,
    print_table,
)
from chiffres.cluster import LOCAL

if TYPE_CHECKING:
    from chiffres.evaluation.compare import Comparison
    from chiffres.report.words import Words
    from chiffres.training.trials import Outcome


@app.command(
    epilog="Example: chiffres compare runs/conv-mnist-* runs/dense-mnist-* --out page.html"
)
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders, or folders with runs inside."),
    ],
    robustness: Robustness = False,
    out: Annotated[
        Path | None, typer.Option(metavar="HTML", help="Write the report there.")
    ] = None,
    as_json: AsJson = False,
    language: Language = "",
) -> None:
    """Say which of several trained models are better, how sure that is and what they cost.

    Runs that differ by their seed alone are one model, with its mean and its interval.
    """
    import dataclasses

    from chiffres.lab.comparing import compare_runs
    from chiffres.report.page import write_report
    from chiffres.report.words import Words, user_language

    words = Words(language or user_language())
    comparison = compare_runs(runs, robustness=robustness)
    command = f"chiffres compare {' '.join(map(str, runs))}{' --robustness' * robustness}"
    if out:
        write_report(dataclasses.replace(comparison, command=command), out, words)
    if as_json:
        typer.echo(json.dumps(comparison.json(), indent=2))
        return
    print_comparison(comparison, words)
    if out:
        typer.echo(f"\n{words.plain('console_report')}: {out}")


@app.command(epilog="Example: chiffres sweep conv-dropout --over dropout=0,0.2,0.5 --seeds 3")
def sweep(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe's name, or FILE.toml.")],
    over: Annotated[
        list[str],
        typer.Option(metavar="KEY=VALUE,...", help="Train with each value; repeat for all pairs."),
    ],
    data: RecipeData = None,
    seeds: Seeds = 1,
    settings: Settings = [],  # noqa: B006 — typer copies it
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Trainings at a time; by default one per core.")
    ] = None,
    on: On = LOCAL,
    log: Log = "",
    language: Language = "",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="By default runs/sweep-<recipe>-<data>.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep in DIR.")] = False,
) -> None:
    """Train a recipe with every combination of some values, side by side, and compare them.

    A sweep that was stopped goes on with --resume: what is trained already is not trained again.
    A training that fails is reported, the others are compared, and the exit code is then 1.
    """
    from chiffres.data import load_dataset
    from chiffres.report.words import Words, user_language
    from chiffres.training.recipe import load_recipe

    words = Words(language or user_language())
    settings = settings + as_settings(data=json.dumps(data) if data else None)
    trackers = as_trackers(log)
    dataset = load_dataset(load_recipe(recipe, settings).data)

    from chiffres.lab.experiment import REPORT
    from chiffres.lab.sweep import plan, run_sweep
    from chiffres.report.page import write_report
    from chiffres.training.cluster import engine_on

    engine = engine_on(on, jobs)
    out = out or Path("runs") / f"sweep-{Path(recipe).stem}-{file_name(dataset.name)}"
    trials = plan(recipe, over, out, dataset.name, seeds, settings)
    done = sum(trial.run.finished for trial in trials)

    def say(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        _say_outcome(outcome, done, len(trials), words)

    comparison = run_sweep(
        recipe,
        over,
        out,
        engine,
        dataset,
        seeds=seeds,
        settings=settings,
        resume=resume,
        log=trackers,
        say=say,
    )
    write_report(comparison, out / REPORT, words)
    print_comparison(comparison, words)
    typer.echo(f"\n{words.plain('console_report')}: {out / REPORT}")
    if comparison.failed:
        raise typer.Exit(1)


def _say_outcome(outcome: Outcome, done: int, every: int, words: Words) -> None:
    folder = outcome.trial.folder
    named = {"done": done, "all": every, "name": f"{folder.parent.name} {folder.name}"}
    if outcome.error:
        line = words.plain("sweep_failed", error=outcome.error, **named)
    else:
        history = outcome.trial.run.history()
        line = words.plain(
            "sweep_done",
            loss=words.number(history["val_loss"][-1], 4),
            accuracy=words.percent(history["val_accuracy"][-1]),
            **named,
        )
    typer.echo(line, err=True)


def print_comparison(comparison: Comparison, words: Words) -> None:
    """Print the tables and sentences that begin the report."""
    from chiffres.report import comparison_tables as tables
    from chiffres.report.summary import (
        choice,
        cross_validated,
        differences,
        overfitting,
        shown_pairs,
    )
    from chiffres.report.words import plain

    side_by_side = tables.side_by_side(comparison, words)
    print_table(side_by_side.headings, side_by_side.rows)
    published = tables.beside_published(comparison, words)
    if published:
        print_table(published.headings, published.rows, words.plain("published_title"))
    shown = shown_pairs(comparison)
    if shown:
        pairs = tables.pairs(shown, words)
        print_table(pairs.headings, pairs.rows, words.plain("differences_title"))
    if comparison.robustness:
        under = tables.robustness_of_all(comparison, words)
        print_table(under.headings, under.rows, words.plain("robustness_title"))
    gaps = tables.overfitting(comparison, words)
    print_table(gaps.headings, gaps.rows, words.plain("overfitting_title"))
    sentences = [*differences(comparison, words), *overfitting(comparison, words)]
    if comparison.folds:
        sentences.append(cross_validated(comparison.folds, words))
    for sentence in [*sentences, *choice(comparison, words)]:
        typer.echo(plain(sentence))
