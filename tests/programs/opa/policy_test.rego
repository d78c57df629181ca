package access_test

import data.access

test_editor_writes if access.allow with input as {"user": "ann", "action": "write", "path": "/docs/a"}

test_reader_reads if access.allow with input as {"user": "bob", "action": "read", "path": "/x"}

test_unknown_user if not access.allow with input as {"user": "eve", "action": "read", "path": "/x"}

test_wrong if access.allow with input as {"user": "bob", "action": "write", "path": "/docs/a"}
