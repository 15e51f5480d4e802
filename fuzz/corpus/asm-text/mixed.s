  r6 = r1
  r2 = *(u32 *)(r1 + 0)
  if w2 s> -5 goto +1
  r3 = be16 r3
  r4 = (s8)r5
  r0 = 0x1122334455667788 ll
  lock *(u64 *)(r10 - 8) += r6
  r7 = atomic_fetch_or((u32 *)(r10 - 16), r7)
  call sub
  goto l
l: exit
sub:
  r0 s/= r1
  unknown ff00000000000000
  exit
