"""The answers say what was measured."""

from chiffres.evaluation.compare import Comparison
from chiffres.report import comparison_tables, tables
from chiffres.report.exercises import answers
from chiffres.report.summary import (
    choice,
    cross_validated,
    differences,
    overfitting,
    shown_pairs,
)
from chiffres.report.words import Words
from tests.report.conftest import renamed


def test_pooling_is_said_to_leave_a_quarter_of_the_parameters(comparison: Comparison) -> None:
    pooling, _ = answers(comparison, Words("en"))
    assert "2,770,634" in pooling.sentences[0]
    assert "693,962" in pooling.sentences[0]
    assert "4.0 times fewer" in pooling.sentences[0]


def test_a_difference_is_stated_as_the_test_found_it(comparison: Comparison) -> None:
    pooling, _ = answers(comparison, Words("en"))
    pair = comparison.pair("conv", "conv-pool")
    text = " ".join(pooling.sentences)
    assert ("cannot be told apart" in text) is not pair.distinguishable
    assert f"{max(pair.only_a, pair.only_b)} digits" in text or (
        f"{min(pair.only_a, pair.only_b)} digits" in text
    )


def test_the_choice_is_made_on_validation_loss_alone(comparison: Comparison) -> None:
    chosen = min(comparison.models, key=lambda model: model.first.history["val_loss"][-1])
    assert comparison.chosen is chosen
    assert f"<code>{chosen.name}</code>" in choice(comparison, Words("en"))[0]


def test_the_turn_of_the_validation_loss_is_read_from_the_history(comparison: Comparison) -> None:
    _, summary = answers(comparison, Words("en"))
    text = " ".join(summary.sentences)
    for model in comparison.models:
        losses = model.first.history["val_loss"]
        said = f"of <code>{model.name}</code> is lowest after the last epoch" in text
        assert said is (losses.index(min(losses)) == len(losses) - 1)


def test_models_whose_validation_loss_turns_together_are_told_as_one(
    comparison: Comparison,
) -> None:
    model = comparison.models[0]
    twins = Comparison(comparison.dataset, [model, renamed(model, "twin")])
    *_, text = overfitting(twins, Words("en"))
    assert f"of all is lowest after epoch {model.best_epoch};" in text


def test_the_terminal_and_the_page_have_the_same_table(comparison: Comparison) -> None:
    table = comparison_tables.side_by_side(comparison, Words("fr"))
    assert [row[0] for row in table.rows] == ["conv", "conv-pool", "conv-dropout"]
    assert all(len(row) == len(table.headings) for row in table.rows)


def test_the_summary_of_a_model_is_that_of_keras(comparison: Comparison) -> None:
    table = tables.summary(comparison.models[0].first.model, Words("en"))
    assert table.rows == [
        ["conv2d (Conv2D)", "(None, 26, 26, 32)", "320"],
        ["flatten (Flatten)", "(None, 21632)", "0"],
        ["dense (Dense)", "(None, 128)", "2,769,024"],
        ["dense_1 (Dense)", "(None, 10)", "1,290"],
        ["total", "", "2,770,634"],
    ]


def test_with_several_seeds_the_sentences_are_those_of_the_test(seeded: Comparison) -> None:
    words = Words("en")
    (sentence,) = differences(seeded, words)
    (pair,) = seeded.pairs
    assert ("is better than" in sentence) is pair.distinguishable
    assert ("cannot be told apart" in sentence) is not pair.distinguishable
    assert words.points(abs(pair.difference)) in sentence
    assert words.p_value(pair.p_corrected).replace("<", "&lt;") in sentence
    assert "2 seeds" in choice(seeded, words)[1]
    gaps, _ = overfitting(seeded, words)
    least, most = sorted(seeded.models, key=lambda model: model.gap)
    assert gaps.index(least.name) < gaps.index(most.name)
    assert seeded.folds
    assert words.percent(seeded.folds.mean) in cross_validated(seeded.folds, words)


def test_of_many_pairs_those_with_the_chosen_model_are_told(comparison: Comparison) -> None:
    many = [
        renamed(model, f"model {number}")
        for number, model in enumerate([*comparison.models, *comparison.models])
    ]
    shown = shown_pairs(Comparison(comparison.dataset, many))
    assert len(shown) == 5
    chosen = Comparison(comparison.dataset, many).chosen.name
    assert all(chosen in (pair.a, pair.b) for pair in shown)
