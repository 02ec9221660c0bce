/* recordpage.S - record.html as a part of the program. */
	.section .rodata
	.globl record_page, record_page_end
record_page:
	.incbin "record.html"
record_page_end:
	.byte 0
	.section .note.GNU-stack,"",@progbits
