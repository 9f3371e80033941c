"""Writers of small slides in vendors' formats, from pictures with a known truth.

No vendor's file may be committed, and none was at hand; OpenSlide's own drivers are what says that
these files are in the format. Each module names where its facts about the format come from.
"""
