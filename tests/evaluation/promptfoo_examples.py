"""Configurations in promptfoo's forms, written for these tests."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FULL: Final = """\
# yaml-language-server: $schema=https://promptfoo.dev/config-schema.json
description: Support bot answers
prompts:
  - "Answer briefly: {{question}}"
  - label: cites
    raw: "Answer, and cite the policy. {{question}} ({{tier}})"
providers:
  - openai:gpt-4o-mini
  - id: anthropic:messages:claude-sonnet-4-5
    label: claude
    config: {temperature: 0, max_tokens: 200, apiKey: "${KEY}"}
  - python:my_provider.py
defaultTest:
  assert:
    - {type: not-contains, value: as an AI}
    - {type: latency, threshold: 3000}
tests:
  - description: late parcel
    vars: {question: Where is my parcel?, answer: tomorrow}
    metadata: {topic: late}
    assert:
      - {type: icontains, value: "{{answer}}"}
      - {type: similar, value: It comes tomorrow., threshold: 0.7}
  - vars: {question: [May I return it?, Can I send it back?]}
    assert:
      - {type: contains-any, value: [14 days, two weeks]}
      - {type: javascript, value: output.length < 100}
      - {type: llm-rubric, value: Is polite}
  - vars: {question: Pay twice?}
    assert:
      - {type: is-json, value: {type: object}}
      - {type: word-count, value: {max: 50}}
      - {type: not-regex, value: "refund(ed)?"}
    threshold: 0.5
  - file://more.csv
evaluateOptions: {repeat: 2, maxConcurrency: 4}
outputPath: out.html
"""
MORE: Final = """\
question,__expected,__expected2,__metadata:topic,__metadata:labels[],__config:__expected2:threshold,__prefix
"Hi, there?",contains:hello,similar:Hello there,greeting,"a,b\\,c",0.9,x
Bye?,levenshtein(3):Goodbye,,farewell,,,
Equal?,Yes,"contains-all:""a, b"",c",,,,
"""


def write_full(folder: Path) -> Path:
    """The configuration and its file of tests."""
    (folder / "promptfooconfig.yaml").write_text(FULL)
    (folder / "more.csv").write_text(MORE)
    return folder / "promptfooconfig.yaml"
