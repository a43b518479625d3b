"""Prompt Arena inside an application: assign, record, measure."""
