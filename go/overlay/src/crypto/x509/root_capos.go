// Where certificate authorities are found in the file tree.

//go:build capos

package x509

var certFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/ssl/cert.pem",
}

var certDirectories = []string{
	"/etc/ssl/certs",
}
