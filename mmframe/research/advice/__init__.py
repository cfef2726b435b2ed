"""Did the advice help? Comparisons on a recording, and scores of forecasts; for studies, never live."""

from mmframe.research.advice.arms import ArmFigures
from mmframe.research.advice.asking import ask_about_recording
from mmframe.research.advice.batches import KeptBatches, QuestionSheet, RecordingBatches
from mmframe.research.advice.evaluation import ARMS, AdviceLevel, Choices, Evaluation, calls_of, evaluate
from mmframe.research.advice.scores import ConfidenceBucket, MidSeries, Score, score
from mmframe.research.advice.verdict import Comparison

__all__ = [
    "ARMS",
    "AdviceLevel",
    "ArmFigures",
    "Choices",
    "Comparison",
    "ConfidenceBucket",
    "Evaluation",
    "KeptBatches",
    "MidSeries",
    "QuestionSheet",
    "RecordingBatches",
    "Score",
    "ask_about_recording",
    "calls_of",
    "evaluate",
    "score",
]
