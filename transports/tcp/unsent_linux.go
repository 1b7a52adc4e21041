package tcp

// optUnsent is TCP_NOTSENT_LOWAT, which package syscall does not name.
const optUnsent = 0x19
