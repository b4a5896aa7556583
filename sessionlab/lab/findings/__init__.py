"""What the answers of the lab's queries say, in sentences: frames in, Markdown out.

Every function is pure. Numbers come from the frames only, names from a store are written so that they cannot become markup,
and an empty frame gives a sentence that says so. Importing the package loads neither pandas nor plotly.
"""

from sessionlab.lab.findings.answer import days_shown, short_answer
from sessionlab.lab.findings.growth import activity, agents_words, forecast_words, growth, limits_words
from sessionlab.lab.findings.size import ages, biggest, disk, fields, kinds, sizes
from sessionlab.lab.findings.stores import same_answers, same_content, timed, updates
from sessionlab.lab.findings.trouble import disagreement, import_changes, problem_list, problems, to_do, worth_telling
from sessionlab.lab.findings.usage import cron, usage

__all__ = [
    "activity",
    "agents_words",
    "ages",
    "biggest",
    "cron",
    "days_shown",
    "disagreement",
    "disk",
    "fields",
    "forecast_words",
    "growth",
    "import_changes",
    "kinds",
    "limits_words",
    "problem_list",
    "problems",
    "same_answers",
    "same_content",
    "short_answer",
    "sizes",
    "timed",
    "to_do",
    "updates",
    "usage",
    "worth_telling",
]
