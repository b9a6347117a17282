"""The contract between server, provider and console: data and meaning only.

Everything here is pure (msgspec and the standard library): the simulator, the server, the provider and the console run
exactly the same definitions.
"""
