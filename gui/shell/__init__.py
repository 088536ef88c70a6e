"""The window: its menus, dialogs, presenter, tour and help."""
