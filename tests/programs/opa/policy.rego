package access

default allow := false

allow if {
	some role in data.users[input.user].roles
	some grant in data.roles[role]
	grant.action == input.action
	startswith(input.path, grant.prefix)
}

reasons contains msg if {
	not allow
	msg := sprintf("%s may not %s %s", [input.user, input.action, input.path])
}

names := sort([upper(name) | some name, _ in data.users])
