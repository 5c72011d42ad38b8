# Start of the firmware: stack, zeros in what begins as zero, main. There is no data that begins as anything else, so a
# processor that is started again finds everything as at first.
    .section .start, "ax"
    .globl _start
_start:
    la sp, _stack
    la t0, _bss
    la t1, _bss_end
1:  beq t0, t1, 2f
    sw zero, 0(t0)
    addi t0, t0, 4
    j 1b
2:  call main
3:  j 3b
