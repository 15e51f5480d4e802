.license GPL
.map hits percpu_array 4 8 1    ; name, type, bytes of key and of value, entries
  *(u32 *)(r10 - 4) = 0
  r2 = r10
  add r2, -4
  lddw r1, hits
  call map_lookup_elem
  jeq r0, 0, out
  r1 = 1
  lock add [r0], r1
out:
  w0 = 1
  exit
