"""Monitors: who watches a run, and may end it.

To add one: a page with a subclass of `Monitor`. It is asked after every block and every epoch; what it has to remember it
keeps in the state (`state.note`), so that a resumed run goes on watching where it left off.
"""
