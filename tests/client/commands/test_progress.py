"""Bars of the steps of an evaluation or a tuning."""

from client.commands.progress import Display


def test_a_step_that_comes_again_has_its_own_total():
    display = Display()
    display.show("Transcribing", 5, 5)
    display.show("Transcribing", 1, 3)
    (task,) = display.tasks
    assert (task.completed, task.total) == (1, 3)
