"""Checks that run on any attention function or module, the reader's own too.

```python
from attention_guide.conformance import check

report = check(my_attention)
```
"""

from attention_guide.conformance.adapter import Adapter, adapt
from attention_guide.conformance.checking import check
from attention_guide.conformance.properties import PROPERTIES
from attention_guide.conformance.property import NotApplicable, Property
from attention_guide.conformance.report import Outcome, Report
from attention_guide.conformance.target import load_target

__all__ = [
    "PROPERTIES",
    "Adapter",
    "NotApplicable",
    "Outcome",
    "Property",
    "Report",
    "adapt",
    "check",
    "load_target",
]
