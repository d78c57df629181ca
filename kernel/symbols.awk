# Makes the kernel's symbol table, as assembly, from `nm -n` of the first link pass (or from
# nothing).
/ [tT] / {
	if ($3 ~ /^\.L/) next
	address[n] = $1
	name[n++] = $3
}
END {
	print ".section .ksyms, \"a\"\n.balign 8"
	print ".globl kernel_symbols, kernel_symbol_count, kernel_symbol_names"
	print "kernel_symbol_count: .long " n + 0
	print "kernel_symbols:"
	offset = 0
	for (i = 0; i < n; i++) {
		print ".long 0x" substr(address[i], 9) " - 0x80000000, " offset
		offset += length(name[i]) + 1
	}
	print "kernel_symbol_names:"
	for (i = 0; i < n; i++)
		print ".asciz \"" name[i] "\""
	print ".byte 0"
	print ".section .note.GNU-stack, \"\", @progbits"
}
