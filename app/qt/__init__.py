"""Where Qt begins: the bridge to asyncio, the store that signals, theme, icons and actions."""
