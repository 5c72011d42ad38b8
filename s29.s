0000000000001100 <step_29>:
    1100:	push   %rbp
    1101:	push   %r15
    1103:	push   %r14
    1105:	push   %r13
    1107:	push   %r12
    1109:	push   %rbx
    110a:	sub    $0x5fe8,%rsp
    1111:	mov    %rcx,-0x78(%rsp)
    1116:	test   %r8,%r8
    1119:	jle    18ec <step_29+0x7ec>
    111f:	mov    %r8,%rcx
    1122:	lea    -0x60(%rsp),%rax
    1127:	neg    %eax
    1129:	and    $0x30,%eax
    112c:	add    %rsp,%rax
    112f:	add    $0xffffffffffffffa0,%rax
    1133:	mov    -0x78(%rsp),%rsi
    1138:	lea    0x13e800(%rsi),%rdi
    113f:	mov    %rdi,-0x68(%rsp)
    1144:	add    $0x140f00,%rsi
    114b:	mov    %rsi,-0x70(%rsp)
    1150:	xor    %r8d,%r8d
    1153:	mov    $0xaaaaaaab,%r10d
    1159:	vbroadcastss 0xe9d(%rip),%zmm0        # 2000 <_fini+0x538>
    1163:	vpbroadcastd 0xe97(%rip),%zmm1        # 2004 <_fini+0x53c>
    116d:	vmovdqa64 0x1009(%rip),%zmm7        # 2180 <_fini+0x6b8>
    1177:	vmovdqa64 0x103f(%rip),%zmm8        # 21c0 <_fini+0x6f8>
    1181:	vmovdqa64 0x1075(%rip),%zmm9        # 2200 <_fini+0x738>
    118b:	vmovdqa64 0x10ab(%rip),%zmm10        # 2240 <_fini+0x778>
    11a0:	mov    -0x70(%rsp),%r11
    11a5:	mov    -0x68(%rsp),%rbx
    11aa:	mov    -0x78(%rsp),%r14
    11af:	xor    %r15d,%r15d
    11c0:	xor    %edi,%edi
    11c2:	xor    %ebp,%ebp
    11c4:	xor    %r13d,%r13d
    11d0:	mov    %ebp,%esi
    11d2:	imul   %r10,%rsi
    11d6:	shr    $0x21,%rsi
    11da:	mov    %esi,%r12d
    11dd:	shl    $0x9,%r12d
    11e1:	lea    (%r12,%r12,8),%r9d
    11e5:	mov    %edi,%r12d
    11e8:	shl    $0x6,%esi
    11eb:	sub    %r9d,%r12d
    11ee:	lea    (%rsi,%rsi,2),%r9d
    11f2:	mov    %r13d,%esi
    11f5:	sub    %r9d,%esi
    11f8:	vmovdqu64 0x13b0(%r14,%r13,1),%zmm14
    1203:	vmovdqu64 0x1200(%rdx,%rsi,4),%zmm13
    120b:	vmovdqu64 0x2760(%r14,%r13,1),%zmm16
    1216:	vmovdqu64 (%r14,%r13,1),%zmm15
    121d:	vmovdqu64 0x1240(%rdx,%rsi,4),%zmm12
    1225:	vmovdqu64 0x18(%r14,%r13,1),%zmm23
    1230:	vmovdqu64 0x30(%r14,%r13,1),%zmm22
    123b:	vmovdqu64 0x1280(%rdx,%rsi,4),%zmm11
    1243:	vpunpcklbw %zmm14,%zmm15,%zmm19
    1249:	vpunpcklbw %zmm16,%zmm14,%zmm20
    124f:	vpunpckhbw %zmm14,%zmm15,%zmm15
    1255:	vpunpckhbw %zmm16,%zmm14,%zmm16
    125b:	vmovdqu64 0x300(%rdx,%r12,1),%zmm26
    1263:	vmovdqu64 0x340(%rdx,%r12,1),%zmm21
    126b:	vmovdqu64 0x13c8(%r14,%r13,1),%zmm24
    1276:	vmovdqu64 (%rdx,%r12,1),%zmm18
    127d:	vmovdqu64 0x2778(%r14,%r13,1),%zmm27
    1288:	vpunpcklbw %zmm24,%zmm23,%zmm28
    128e:	vpunpcklbw %zmm27,%zmm24,%zmm29
    1294:	vmovdqu64 0x100(%rdx,%r12,1),%zmm25
    129c:	vmovdqu64 0x13e0(%r14,%r13,1),%zmm2
    12a7:	vmovdqu64 0x2790(%r14,%r13,1),%zmm3
    12b2:	vmovdqu64 0x200(%rdx,%r12,1),%zmm31
    12ba:	vpunpcklbw %zmm2,%zmm22,%zmm30
    12c0:	vpunpcklwd %zmm20,%zmm19,%zmm4
    12c6:	vmovdqa64 %zmm13,%zmm14
    12cc:	vpdpbusd %zmm18,%zmm4,%zmm14
    12d2:	vpunpcklwd %zmm29,%zmm28,%zmm5
    12d8:	vmovdqa64 %zmm13,%zmm17
    12de:	vpdpbusd %zmm18,%zmm5,%zmm17
    12e4:	vpunpcklbw %zmm3,%zmm2,%zmm6
    12ea:	vpdpbusd %zmm25,%zmm5,%zmm14
    12f0:	vpdpbusd %zmm31,%zmm5,%zmm14
    12f6:	vpdpbusd %zmm25,%zmm5,%zmm17
    12fc:	vmovdqa64 %zmm13,%zmm18
    1302:	vpdpbusd %zmm26,%zmm4,%zmm18
    1308:	vpunpcklwd %zmm6,%zmm30,%zmm4
    130e:	vpdpbusd %zmm31,%zmm4,%zmm17
    1314:	vmovdqu64 0x380(%rdx,%r12,1),%zmm25
    131c:	vpdpbusd %zmm26,%zmm5,%zmm13
    1322:	vmovdqu64 0x400(%rdx,%r12,1),%zmm26
    132a:	vpdpbusd %zmm26,%zmm5,%zmm18
    1330:	vpdpbusd %zmm26,%zmm5,%zmm13
    1336:	vmovdqu64 0x500(%rdx,%r12,1),%zmm26
    133e:	vpdpbusd %zmm26,%zmm5,%zmm18
    1344:	vmovdqu64 0x40(%rdx,%r12,1),%zmm5
    134c:	vpdpbusd %zmm26,%zmm4,%zmm13
    1352:	vmovdqu64 0x80(%rdx,%r12,1),%zmm31
    135a:	vpunpckhbw %zmm24,%zmm23,%zmm26
    1360:	vmovdqu64 0x140(%rdx,%r12,1),%zmm4
    1368:	vpunpckhbw %zmm27,%zmm24,%zmm27
    136e:	vpunpckhbw %zmm2,%zmm22,%zmm23
    1374:	vpunpckhbw %zmm3,%zmm2,%zmm24
    137a:	vmovdqu64 0x240(%rdx,%r12,1),%zmm2
    1382:	vpunpckhwd %zmm20,%zmm19,%zmm3
    1388:	vmovdqa64 %zmm12,%zmm19
    138e:	vpdpbusd %zmm5,%zmm3,%zmm19
    1394:	vpunpckhwd %zmm29,%zmm28,%zmm28
    139a:	vmovdqa64 %zmm12,%zmm20
    13a0:	vpdpbusd %zmm5,%zmm28,%zmm20
    13a6:	vmovdqu64 0x440(%rdx,%r12,1),%zmm5
    13ae:	vpdpbusd %zmm4,%zmm28,%zmm19
    13b4:	vpdpbusd %zmm4,%zmm28,%zmm20
    13ba:	vpunpckhwd %zmm6,%zmm30,%zmm4
    13c0:	vmovdqu64 0x540(%rdx,%r12,1),%zmm6
    13c8:	vpdpbusd %zmm2,%zmm28,%zmm19
    13ce:	vpdpbusd %zmm2,%zmm4,%zmm20
    13d4:	vmovdqa64 %zmm12,%zmm22
    13da:	vpdpbusd %zmm21,%zmm3,%zmm22
    13e0:	vpdpbusd %zmm21,%zmm28,%zmm12
    13e6:	vmovdqu64 0x180(%rdx,%r12,1),%zmm2
    13ee:	vpdpbusd %zmm5,%zmm28,%zmm22
    13f4:	vpdpbusd %zmm6,%zmm28,%zmm22
    13fa:	vpdpbusd %zmm5,%zmm28,%zmm12
    1400:	vpdpbusd %zmm6,%zmm4,%zmm12
    1406:	vpunpcklwd %zmm16,%zmm15,%zmm3
    140c:	vmovdqa64 %zmm11,%zmm21
    1412:	vpdpbusd %zmm31,%zmm3,%zmm21
    1418:	vpunpcklwd %zmm27,%zmm26,%zmm4
    141e:	vmovdqa64 %zmm11,%zmm28
    1424:	vpdpbusd %zmm31,%zmm4,%zmm28
    142a:	vmovdqu64 0x280(%rdx,%r12,1),%zmm5
    1432:	vpdpbusd %zmm2,%zmm4,%zmm21
    1438:	vpdpbusd %zmm2,%zmm4,%zmm28
    143e:	vpunpcklwd %zmm24,%zmm23,%zmm2
    1444:	vpdpbusd %zmm5,%zmm4,%zmm21
    144a:	vpdpbusd %zmm5,%zmm2,%zmm28
    1450:	vmovdqa64 %zmm11,%zmm29
    1456:	vpdpbusd %zmm25,%zmm3,%zmm29
    145c:	vpdpbusd %zmm25,%zmm4,%zmm11
    1462:	vmovdqu64 0x480(%rdx,%r12,1),%zmm3
    146a:	vpdpbusd %zmm3,%zmm4,%zmm29
    1470:	vpdpbusd %zmm3,%zmm4,%zmm11
    1476:	vmovdqu64 0x580(%rdx,%r12,1),%zmm3
    147e:	vpdpbusd %zmm3,%zmm4,%zmm29
    1484:	vmovdqu64 0x12c0(%rdx,%rsi,4),%zmm25
    148c:	vpdpbusd %zmm3,%zmm2,%zmm11
    1492:	vmovdqu64 0xc0(%rdx,%r12,1),%zmm2
    149a:	vmovdqu64 0x3c0(%rdx,%r12,1),%zmm3
    14a2:	vpunpckhwd %zmm16,%zmm15,%zmm4
    14a8:	vmovdqa64 %zmm25,%zmm15
    14ae:	vpdpbusd %zmm2,%zmm4,%zmm15
    14b4:	vpunpckhwd %zmm27,%zmm26,%zmm5
    14ba:	vmovdqa64 %zmm25,%zmm6
    14c0:	vpdpbusd %zmm2,%zmm5,%zmm6
    14c6:	vmovdqu64 0x1c0(%rdx,%r12,1),%zmm2
    14ce:	vpdpbusd %zmm2,%zmm5,%zmm15
    14d4:	vpdpbusd %zmm2,%zmm5,%zmm6
    14da:	vpunpckhwd %zmm24,%zmm23,%zmm2
    14e0:	vmovdqa64 %zmm25,%zmm16
    14e6:	vpdpbusd %zmm3,%zmm4,%zmm16
    14ec:	vpdpbusd %zmm3,%zmm5,%zmm25
    14f2:	vmovdqu64 0x4c0(%rdx,%r12,1),%zmm3
    14fa:	vpdpbusd %zmm3,%zmm5,%zmm16
    1500:	vpdpbusd %zmm3,%zmm5,%zmm25
    1506:	vmovdqu64 0x2c0(%rdx,%r12,1),%zmm3
    150e:	vpdpbusd %zmm3,%zmm5,%zmm15
    1514:	vpdpbusd %zmm3,%zmm2,%zmm6
    151a:	vmovdqu64 0x5c0(%rdx,%r12,1),%zmm3
    1522:	vpdpbusd %zmm3,%zmm5,%zmm16
    1528:	vpdpbusd %zmm3,%zmm2,%zmm25
    152e:	vmovups 0x1500(%rdx,%rsi,4),%zmm2
    1536:	vcvtdq2ps %zmm14,%zmm3
    153c:	vfmadd213ps %zmm0,%zmm2,%zmm3
    1542:	vcvtdq2ps %zmm17,%zmm4
    1548:	vfmadd213ps %zmm0,%zmm2,%zmm4
    154e:	vcvtdq2ps %zmm18,%zmm5
    1554:	vfmadd213ps %zmm0,%zmm2,%zmm5
    155a:	vcvtdq2ps %zmm13,%zmm13
    1560:	vfmadd213ps %zmm0,%zmm2,%zmm13
    1566:	vmovups 0x1540(%rdx,%rsi,4),%zmm2
    156e:	vcvtdq2ps %zmm19,%zmm14
    1574:	vfmadd213ps %zmm0,%zmm2,%zmm14
    157a:	vcvtdq2ps %zmm20,%zmm17
    1580:	vfmadd213ps %zmm0,%zmm2,%zmm17
    1586:	vcvtdq2ps %zmm22,%zmm18
    158c:	vfmadd213ps %zmm0,%zmm2,%zmm18
    1592:	vcvtdq2ps %zmm12,%zmm12
    1598:	vfmadd213ps %zmm0,%zmm2,%zmm12
    159e:	vmovups 0x1580(%rdx,%rsi,4),%zmm2
    15a6:	vcvtdq2ps %zmm21,%zmm19
    15ac:	vfmadd213ps %zmm0,%zmm2,%zmm19
    15b2:	vcvtdq2ps %zmm28,%zmm20
    15b8:	vfmadd213ps %zmm0,%zmm2,%zmm20
    15be:	vcvtdq2ps %zmm29,%zmm21
    15c4:	vfmadd213ps %zmm0,%zmm2,%zmm21
    15ca:	vcvtdq2ps %zmm11,%zmm11
    15d0:	vfmadd213ps %zmm0,%zmm2,%zmm11
    15d6:	vmovups 0x15c0(%rdx,%rsi,4),%zmm2
    15de:	vcvtdq2ps %zmm15,%zmm15
    15e4:	vfmadd213ps %zmm0,%zmm2,%zmm15
    15ea:	vcvtdq2ps %zmm6,%zmm6
    15f0:	vfmadd213ps %zmm0,%zmm2,%zmm6
    15f6:	vcvtdq2ps %zmm16,%zmm16
    15fc:	vfmadd213ps %zmm0,%zmm2,%zmm16
    1602:	vcvtdq2ps %zmm25,%zmm22
    1608:	vfmadd213ps %zmm0,%zmm2,%zmm22
    160e:	vpaddd %zmm1,%zmm3,%zmm2
    1614:	vpaddd %zmm1,%zmm14,%zmm3
    161a:	vpackssdw %zmm3,%zmm2,%zmm2
    1620:	vpaddd %zmm1,%zmm19,%zmm3
    1626:	vpaddd %zmm1,%zmm15,%zmm14
    162c:	vpackssdw %zmm14,%zmm3,%zmm3
    1632:	vpaddd %zmm1,%zmm4,%zmm4
    1638:	vpaddd %zmm1,%zmm17,%zmm14
    163e:	vpackssdw %zmm14,%zmm4,%zmm4
    1644:	vpackuswb %zmm3,%zmm2,%zmm2
    164a:	vpaddd %zmm1,%zmm20,%zmm3
    1650:	vpaddd %zmm1,%zmm6,%zmm6
    1656:	vpackssdw %zmm6,%zmm3,%zmm3
    165c:	vpackuswb %zmm3,%zmm4,%zmm3
    1662:	vpaddd %zmm1,%zmm5,%zmm4
    1668:	vpaddd %zmm1,%zmm18,%zmm5
    166e:	vpackssdw %zmm5,%zmm4,%zmm4
    1674:	vpaddd %zmm1,%zmm21,%zmm5
    167a:	vpaddd %zmm1,%zmm16,%zmm6
    1680:	vpackssdw %zmm6,%zmm5,%zmm5
    1686:	vmovdqu64 %zmm2,(%rax,%r13,1)
    168d:	vpackuswb %zmm5,%zmm4,%zmm2
    1693:	vpaddd %zmm1,%zmm13,%zmm4
    1699:	vpaddd %zmm1,%zmm12,%zmm5
    169f:	vpackssdw %zmm5,%zmm4,%zmm4
    16a5:	vmovdqu64 %zmm3,0x1380(%rax,%r13,1)
    16ad:	vpaddd %zmm1,%zmm11,%zmm3
    16b3:	vpaddd %zmm1,%zmm22,%zmm5
    16b9:	vpackssdw %zmm5,%zmm3,%zmm3
    16bf:	vpackuswb %zmm3,%zmm4,%zmm3
    16c5:	vmovdqu64 %zmm2,0x2700(%rax,%r13,1)
    16d0:	vmovdqu64 %zmm3,0x3a80(%rax,%r13,1)
    16db:	add    $0x40,%r13
    16df:	add    $0x600,%edi
    16e5:	inc    %ebp
    16e7:	cmp    $0x1380,%r13
    16ee:	jne    11d0 <step_29+0xd0>
    16f4:	xor    %esi,%esi
    16f6:	vmovdqa64 0x940(%rip),%zmm13        # 2040 <_fini+0x578>
    1700:	vmovdqa64 0x976(%rip),%zmm14        # 2080 <_fini+0x5b8>
    170a:	vmovdqa64 0x9ac(%rip),%zmm15        # 20c0 <_fini+0x5f8>
    1714:	vmovdqa64 0x9e2(%rip),%zmm16        # 2100 <_fini+0x638>
    171e:	vmovdqa64 0xa18(%rip),%zmm17        # 2140 <_fini+0x678>
    1730:	vmovdqu64 (%rax,%rsi,1),%zmm2
    1737:	vmovdqu64 0x40(%rax,%rsi,1),%zmm3
    173f:	vmovdqu64 0x80(%rax,%rsi,1),%zmm4
    1747:	vmovdqu64 0x1380(%rax,%rsi,1),%zmm5
    174f:	vmovdqu64 0x13c0(%rax,%rsi,1),%zmm6
    1757:	vmovdqu64 0x1400(%rax,%rsi,1),%zmm11
    175f:	vmovdqa64 %zmm2,%zmm12
    1765:	vpermt2q %zmm5,%zmm13,%zmm12
    176b:	vmovdqu64 %zmm12,-0x140(%rbx,%rsi,2)
    1773:	vpermt2q %zmm3,%zmm14,%zmm2
    1779:	valignq $0x7,%zmm5,%zmm3,%zmm12
    1780:	vpermt2q %zmm2,%zmm15,%zmm5
    1786:	vmovdqu64 %zmm5,-0x100(%rbx,%rsi,2)
    178e:	vpermt2q %zmm6,%zmm16,%zmm12
    1794:	vmovdqu64 %zmm12,-0xc0(%rbx,%rsi,2)
    179c:	vpermt2q %zmm4,%zmm17,%zmm3
    17a2:	vpermt2q %zmm6,%zmm7,%zmm3
    17a8:	vmovdqu64 %zmm3,-0x80(%rbx,%rsi,2)
    17b0:	vmovdqa64 %zmm4,%zmm2
    17b6:	vpermt2q %zmm6,%zmm8,%zmm2
    17bc:	vpermt2q %zmm11,%zmm9,%zmm2
    17c2:	vmovdqu64 %zmm2,-0x40(%rbx,%rsi,2)
    17ca:	vpermt2q %zmm4,%zmm10,%zmm11
    17d0:	vmovdqu64 %zmm11,(%rbx,%rsi,2)
    17d7:	add    $0xc0,%rsi
    17de:	cmp    $0x1380,%rsi
    17e5:	jne    1730 <step_29+0x630>
    17eb:	xor    %esi,%esi
    17f0:	vmovdqu64 0x2700(%rax,%rsi,1),%zmm2
    17fb:	vmovdqu64 0x2740(%rax,%rsi,1),%zmm3
    1806:	vmovdqu64 0x2780(%rax,%rsi,1),%zmm4
    1811:	vmovdqu64 0x3a80(%rax,%rsi,1),%zmm5
    181c:	vmovdqu64 0x3ac0(%rax,%rsi,1),%zmm6
    1827:	vmovdqu64 0x3b00(%rax,%rsi,1),%zmm11
    1832:	vmovdqa64 %zmm2,%zmm12
    1838:	vpermt2q %zmm5,%zmm13,%zmm12
    183e:	vmovdqu64 %zmm12,-0x140(%r11,%rsi,2)
    1846:	vpermt2q %zmm3,%zmm14,%zmm2
    184c:	valignq $0x7,%zmm5,%zmm3,%zmm12
    1853:	vpermt2q %zmm2,%zmm15,%zmm5
    1859:	vmovdqu64 %zmm5,-0x100(%r11,%rsi,2)
    1861:	vpermt2q %zmm6,%zmm16,%zmm12
    1867:	vmovdqu64 %zmm12,-0xc0(%r11,%rsi,2)
    186f:	vpermt2q %zmm4,%zmm17,%zmm3
    1875:	vpermt2q %zmm6,%zmm7,%zmm3
    187b:	vmovdqu64 %zmm3,-0x80(%r11,%rsi,2)
    1883:	vmovdqa64 %zmm4,%zmm2
    1889:	vpermt2q %zmm6,%zmm8,%zmm2
    188f:	vpermt2q %zmm11,%zmm9,%zmm2
    1895:	vmovdqu64 %zmm2,-0x40(%r11,%rsi,2)
    189d:	vpermt2q %zmm4,%zmm10,%zmm11
    18a3:	vmovdqu64 %zmm11,(%r11,%rsi,2)
    18aa:	add    $0xc0,%rsi
    18b1:	cmp    $0x1380,%rsi
    18b8:	jne    17f0 <step_29+0x6f0>
    18be:	inc    %r15
    18c1:	add    $0x13b0,%r14
    18c8:	add    $0x4e00,%rbx
    18cf:	add    $0x4e00,%r11
    18d6:	cmp    $0x40,%r15
    18da:	jne    11c0 <step_29+0xc0>
    18e0:	inc    %r8
    18e3:	cmp    %rcx,%r8
    18e6:	jne    11a0 <step_29+0xa0>
    18ec:	add    $0x5fe8,%rsp
    18f3:	pop    %rbx
    18f4:	pop    %r12
    18f6:	pop    %r13
    18f8:	pop    %r14
    18fa:	pop    %r15
    18fc:	pop    %rbp
    18fd:	vzeroupper
    1900:	ret

0000000000001910 <__truncsfhf2>:
    1910:	vmovd  %xmm0,%eax
    1914:	mov    %eax,%edx
    1916:	and    $0x7fffffff,%edx
    191c:	lea    -0x38800000(%rdx),%ecx
    1922:	lea    -0x47800000(%rdx),%esi
    1928:	cmp    %esi,%ecx
    192a:	jae    194e <__truncsfhf2+0x3e>
    192c:	mov    %eax,%edx
    192e:	shr    $0xd,%edx
    1931:	mov    %eax,%esi
    1933:	and    $0x1fff,%esi
    1939:	cmp    $0x1001,%esi
    193f:	jb     196c <__truncsfhf2+0x5c>
    1941:	add    $0xfffe4001,%edx
    1947:	mov    %edx,%ecx
    1949:	jmp    19ec <__truncsfhf2+0xdc>
    194e:	cmp    $0x7f800001,%edx
    1954:	jb     1981 <__truncsfhf2+0x71>
    1956:	mov    %eax,%ecx
    1958:	shr    $0xd,%ecx
    195b:	and    $0x1ff,%ecx
    1961:	or     $0x7e00,%ecx
    1967:	jmp    19ec <__truncsfhf2+0xdc>
    196c:	lea    -0x1c000(%rdx),%ecx
    1972:	cmp    $0x1000,%esi
    1978:	jne    19ec <__truncsfhf2+0xdc>
    197a:	and    $0x1,%edx
    197d:	add    %edx,%ecx
    197f:	jmp    19ec <__truncsfhf2+0xdc>
    1981:	mov    $0x7c00,%ecx
    1986:	cmp    $0x477fffff,%edx
    198c:	ja     19ec <__truncsfhf2+0xdc>
    198e:	xor    %ecx,%ecx
    1990:	cmp    $0x2d000000,%edx
    1996:	jb     19ec <__truncsfhf2+0xdc>
    1998:	shr    $0x17,%edx
    199b:	mov    %eax,%ecx
    199d:	and    $0x7fffff,%ecx
    19a3:	or     $0x800000,%ecx
    19a9:	lea    -0x51(%rdx),%esi
    19ac:	shlx   %esi,%ecx,%esi
    19b1:	xor    %edi,%edi
    19b3:	test   %esi,%esi
    19b5:	setne  %dil
    19b9:	mov    $0x71,%sil
    19bc:	sub    %dl,%sil
    19bf:	shrx   %esi,%ecx,%edx
    19c4:	mov    %edx,%ecx
    19c6:	shr    $0xd,%ecx
    19c9:	and    $0x1fff,%edx
    19cf:	or     %edi,%edx
    19d1:	cmp    $0x1001,%edx
    19d7:	jb     19dd <__truncsfhf2+0xcd>
    19d9:	inc    %ecx
    19db:	jmp    19ec <__truncsfhf2+0xdc>
    19dd:	cmp    $0x1000,%edx
    19e3:	jne    19ec <__truncsfhf2+0xdc>
    19e5:	mov    %ecx,%edx
    19e7:	and    $0x1,%edx
    19ea:	add    %edx,%ecx
    19ec:	shr    $0x10,%eax
    19ef:	and    $0x8000,%eax
    19f4:	or     %ecx,%eax
    19f6:	vpinsrw $0x0,%eax,%xmm0,%xmm0
    19fb:	ret

0000000000001a00 <__extendhfsf2>:
    1a00:	vpextrw $0x0,%xmm0,%eax
    1a05:	mov    %eax,%ecx
    1a07:	and    $0x7fff,%ecx
    1a0d:	lea    -0x400(%rcx),%edx
    1a13:	movzwl %dx,%edx
    1a16:	cmp    $0x77ff,%edx
    1a1c:	ja     1a2c <__extendhfsf2+0x2c>
    1a1e:	shl    $0xd,%ecx
    1a21:	add    $0x38000000,%ecx
    1a27:	jmp    1ab9 <__extendhfsf2+0xb9>
    1a2c:	cmp    $0x7c00,%ecx
    1a32:	jb     1a3f <__extendhfsf2+0x3f>
    1a34:	shl    $0xd,%ecx
    1a37:	or     $0x7f800000,%ecx
    1a3d:	jmp    1ab9 <__extendhfsf2+0xb9>
    1a3f:	test   %ecx,%ecx
    1a41:	je     1ab7 <__extendhfsf2+0xb7>
    1a43:	mov    %ecx,%edx
    1a45:	shr    $0x8,%edx
    1a48:	xor    %esi,%esi
    1a4a:	cmp    $0x100,%ecx
    1a50:	setb   %sil
    1a54:	cmovb  %ecx,%edx
    1a57:	lea    0x18(,%rsi,8),%edi
    1a5e:	mov    %edx,%r8d
    1a61:	shr    $0x4,%r8d
    1a65:	cmp    $0x10,%edx
    1a68:	lea    0x14(,%rsi,8),%esi
    1a6f:	cmovb  %edx,%r8d
    1a73:	cmovb  %edi,%esi
    1a76:	mov    %r8d,%edx
    1a79:	shr    $0x2,%edx
    1a7c:	lea    -0x2(%rsi),%edi
    1a7f:	cmp    $0x4,%r8d
    1a83:	cmovb  %r8d,%edx
    1a87:	cmovb  %esi,%edi
    1a8a:	mov    %edx,%esi
    1a8c:	neg    %esi
    1a8e:	cmp    $0x2,%edx
    1a91:	mov    $0xfffffffe,%edx
    1a96:	cmovb  %esi,%edx
    1a99:	add    %edi,%edx
    1a9b:	lea    -0x8(%rdx),%esi
    1a9e:	shlx   %esi,%ecx,%esi
    1aa3:	xor    $0x800000,%esi
    1aa9:	shl    $0x17,%edx
    1aac:	mov    $0x43000000,%ecx
    1ab1:	sub    %edx,%ecx
    1ab3:	or     %esi,%ecx
    1ab5:	jmp    1ab9 <__extendhfsf2+0xb9>
    1ab7:	xor    %ecx,%ecx
    1ab9:	and    $0x8000,%eax
    1abe:	shl    $0x10,%eax
    1ac1:	or     %ecx,%eax
    1ac3:	vmovd  %eax,%xmm0
    1ac7:	ret

Disassembly of section .fini:

0000000000001ac8 <_fini>:
    1ac8:	sub    $0x8,%rsp
    1acc:	add    $0x8,%rsp
    1ad0:	ret
