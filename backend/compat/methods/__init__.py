"""What the XML-RPC methods do, by subject; `table` says which name means which."""
