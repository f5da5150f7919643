"""The ways in which every page is looked at: at the widths of telephones to large screens, and by axe."""

LAYOUTS = tuple(f"layout {width}" for width in (360, 390, 768, 1280, 1920))
AXE = ("axe light", "axe dark", "axe narrow")
