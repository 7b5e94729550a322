"""The objective: mean loss plus penalty, as typed values. Losses, penalties and links, one concept a page."""
