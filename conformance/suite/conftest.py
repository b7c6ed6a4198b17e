"""The suite's Hypothesis profile: the same examples in every run, nothing kept between runs."""

from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "seatrial",
    # The verdict of a run has to be the verdict of the next.
    derandomize=True,
    database=None,
    # A container takes as long as the machine happens to take; the harness has its own timeout.
    deadline=None,
    max_examples=25,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    # A harness serves all examples of one test, and makes a new container for each.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    report_multiple_bugs=False,
    print_blob=False,
)
settings.load_profile("seatrial")
