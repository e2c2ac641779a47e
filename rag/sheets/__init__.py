"""Spreadsheets as data: finds the regions of each sheet and gives them as typed tables with facts of every cell."""
