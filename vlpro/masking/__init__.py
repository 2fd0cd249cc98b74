"""Personal data in texts, masked so that a text keeps its length and shape: ``138****5678``."""

from vlpro.masking.answers import JsonMasker, Masking
from vlpro.masking.text import Masker, mask_text

__all__ = ["JsonMasker", "Masker", "Masking", "mask_text"]
