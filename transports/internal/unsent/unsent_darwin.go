package unsent

// Option is TCP_NOTSENT_LOWAT, which package syscall does not name.
const Option = 0x201
