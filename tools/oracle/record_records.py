"""Managed fields in BTF: what BPF_BTF_LOAD and MAP_CREATE answer for values with locks, timers, kernel pointers, lists and trees.

Writes packages/vmlinux/test/oracle/records.jsonl: a line a case with its BTF in hex. Needs root."""

import ctypes
import json
import os
import struct

from btf import Btf, STRUCT
from bpf import address, bpf, errno_name, kernel_release

OUT = os.path.join(os.path.dirname(__file__), '../../packages/vmlinux/test/oracle/records.jsonl')


class Builder:
    """Just enough of a BTF writer."""

    def __init__(self):
        self.types, self.strings, self.count = [], b'\0', 0

    def str(self, text):
        if not text:
            return 0
        at = len(self.strings)
        self.strings += text.encode() + b'\0'
        return at

    def add(self, name, kind, vlen=0, size=0, extra=b''):
        self.types.append(struct.pack('<III', self.str(name), kind << 24 | vlen, size) + extra)
        self.count += 1
        return self.count

    def int(self, name='int', size=4):
        return self.add(name, 1, 0, size, struct.pack('<I', size * 8))

    def arr(self, element, count):
        return self.add('', 3, 0, 0, struct.pack('<III', element, 1, count))

    def st(self, name, size, members):
        return self.add(name, 4, len(members), size, b''.join(struct.pack('<III', self.str(m), t, o * 8) for m, t, o in members))

    def fwd(self, name):
        return self.add(name, 7)

    def ptr(self, target):
        return self.add('', 2, 0, target)

    def tag(self, name, target):
        return self.add(name, 18, 0, target)

    def decl(self, name, target, component=-1):
        return self.add(name, 17, 0, target, struct.pack('<i', component))

    def encode(self):
        types = b''.join(self.types)
        return struct.pack('<HBBIIIII', 0xeb9f, 1, 0, 24, 0, len(types), len(types), len(self.strings)) + types + self.strings


ROWS = []


def case(name, make, size, type=2, flags=0, key_type=1, max=1):
    builder = Builder()
    builder.int()
    value = make(builder)
    data = builder.encode()
    buf = ctypes.create_string_buffer(data, len(data))
    fd, _ = bpf(18, struct.pack('<QQIIII', address(buf), 0, len(data), 0, 0, 0))
    row = {'name': name, 'btf': data.hex(), 'value': value, 'size': size, 'type': type, 'flags': flags, 'max': max,
           'load': errno_name(fd).replace('ENOTSUP', 'EOPNOTSUPP') if fd < 0 else ''}
    if fd >= 0:
        attr = struct.pack('<7I16s4I', type, 4, size, max, flags, 0, 0, b'', 0, fd, key_type, value)
        made, _ = bpf(0, attr)
        row['create'] = errno_name(made).replace('ENOTSUP', 'EOPNOTSUPP') if made < 0 else ''
        if made >= 0:
            os.close(made)
        os.close(fd)
    ROWS.append(row)


def kp(tag,name,size=0):
    def f(b):
        t=b.st(name,8,[('a',1,0)]) if size==0 else b.st(name,size,[('a',1,0)])
        return b.st('v',8,[('p',b.ptr(b.tag(tag,t)),0)])
    return f

NAMES = ['task_struct','cgroup','bpf_cpumask','bpf_crypto_ctx','nf_conn','prog_test_ref_kfunc','prog_test_member','prog_test_member1','sk_buff','sock','cpumask','file','bpf_key','xfrm_state','sched_ext_entity','bpf_map','localtype','__sk_buff']
for n in NAMES:
    case('kptr '+n,kp('kptr',n),8)
for n in ['task_struct','sk_buff','local2']:
    case('untr '+n,kp('kptr_untrusted',n),8); case('percpu '+n,kp('percpu_kptr',n),8); case('uptr '+n,kp('uptr',n),8,type=29,flags=1,max=0)
case('uptr array',kp('uptr','l3'),8)
def two(b):
    t=b.st('l',8,[('a',1,0)]); return b.st('v',8,[('p',b.ptr(b.tag('kptr',b.tag('rcu',t))),0)])
case('two tags',two,8)
def notst(b): return b.st('v',8,[('p',b.ptr(b.tag('kptr',1)),0)])
case('kptr int',notst,8)
def fw(b): return b.st('v',8,[('p',b.ptr(b.tag('kptr',b.fwd('task_struct'))),0)])
case('kptr fwd',fw,8)
sl=lambda b:b.st('bpf_spin_lock',4,[('val',1,0)])
rl=lambda b:b.st('bpf_res_spin_lock',4,[('val',1,0)])
tm=lambda b:b.st('bpf_timer',16,[('o',b.arr(1,4),0)])
lh=lambda b:b.st('bpf_list_head',16,[('o',b.arr(1,4),0)])
ln=lambda b:b.st('bpf_list_node',24,[('o',b.arr(1,6),0)])
rr=lambda b:b.st('bpf_rb_root',16,[('o',b.arr(1,4),0)])
rn=lambda b:b.st('bpf_rb_node',32,[('o',b.arr(1,8),0)])
rc=lambda b:b.st('bpf_refcount',4,[('o',b.arr(1,1),0)])
wq=lambda b:b.st('bpf_wq',16,[('o',b.arr(1,4),0)])
tw=lambda b:b.st('bpf_task_work',8,[('o',b.arr(1,2),0)])
tw16=lambda b:b.st('bpf_task_work',16,[('o',b.arr(1,4),0)])
def V(size,*ms): return lambda b:b.st('v',size,[(f'm{i}',m(b),o) for i,(m,o) in enumerate(ms)])
case('sl misaligned',V(8,(sl,2)),8)
case('timer misaligned',V(24,(tm,4)),24)
def two_sl(b):
    l=sl(b); return b.st('v',8,[('a',l,0),('b',l,4)])
case('two locks',two_sl,8)
def sl_arr(b): return b.st('v',8,[('a',b.arr(sl(b),2),0)])
case('lock array',sl_arr,8)
def sl_arr1(b): return b.st('v',4,[('a',b.arr(sl(b),1),0)])
case('lock array 1',sl_arr1,4)
case('lock+res',V(8,(sl,0),(rl,4)),8)
case('tw8',V(8,(tw,0)),8); case('tw16',V(16,(tw16,0)),16)
case('wq',V(16,(wq,0)),16); case('refcount map',V(8,(rc,0)),8)
case('res',V(8,(rl,0)),8)
def nested(b): return b.st('v',8,[('a',b.st('w',8,[('x',1,0),('l',sl(b),4)]),0)])
case('nested lock',nested,8)
def typedef(b): return b.st('v',8,[('a',b.add('foo_t',8,0,sl(b)),0)])
case('typedef lock',typedef,8)
def union(b):
    s=sl(b); u=b.add('u',5,1,4,struct.pack('<III',b.str('x'),s,0)); return b.st('v',4,[('a',u,0)])
case('union lock',union,4)
def dup(b):
    s=sl(b); t=tm(b); return b.st('v',16,[('a',t,0),('b',s,8)])
case('overlap',dup,16)
def root(tag,withlock=True,node='n',nodetype=ln,elem='foo',noff=0,nsz=24,both=False,dupname=False):
    def f(b):
        n=nodetype(b); b.st('foo',nsz+noff,[('n',n,noff)] + ([('n',n,noff)] if dupname else []))
        ms=[]
        if withlock: ms.append(('l',sl(b),0))
        ms.append(('h',lh(b),8)); v=b.st('v',24,ms)
        if tag: b.decl(tag,v,len(ms)-1)
        if both: b.decl('contains:foo:n2',v,len(ms)-1)
        return v
    return f
case('head ok',root('contains:foo:n'),24)
case('head nolock',root('contains:foo:n',False),24)
case('head notag',root(None),24)
case('head nonode',root('contains:foo:m'),24)
case('head nostruct',root('contains:fox:n'),24)
case('head nocolon',root('contains:foo'),24)
case('head empty',root('contains:foo:'),24)
case('head rbnode',root('contains:foo:n',nodetype=rn,nsz=32),24)
case('head twotags',root('contains:foo:n',both=True),24)
case('head dupname',root('contains:foo:n',dupname=True),24)
case('head misalign',root('contains:foo:n',noff=4,nsz=28),24)
case('head percpu array',root('contains:foo:n'),24,type=6)
case('head lru',root('contains:foo:n'),24,type=9)
case('node in map',V(24,(ln,0)),24); case('rbnode in map',V(32,(rn,0)),32)
case('node+rbnode',V(56,(ln,0),(rn,24)),56)
case('node+rbnode+rc',V(64,(ln,0),(rn,24),(rc,56)),64)
def two_nodes(b):
    l=ln(b); return b.st('v',48,[('a',l,0),('b',l,24)])
case('two list nodes',two_nodes,48)
def cyc(b):
    # foo{node,head->bar,lock} bar{node,head->foo}
    l=ln(b);h=lh(b);s=sl(b)
    f=b.st('foo',48,[('n',l,0),('h',h,24),('l',s,40)]); g=b.st('bar',48,[('n',l,0),('h',h,24),('l',s,40)])
    b.decl('contains:bar:n',f,1); b.decl('contains:foo:n',g,1); return f
case('cycle',cyc,48)
def selfc(b):
    l=ln(b);h=lh(b);s=sl(b); f=b.st('foo',48,[('n',l,0),('h',h,24),('l',s,40)]); b.decl('contains:foo:n',f,1); return f
case('self',selfc,48)
def many(n):
    def f(b):
        t=b.st('loc',8,[('a',1,0)]); p=b.ptr(b.tag('kptr',t)); return b.st('v',n*8,[(f'p{i}',p,i*8) for i in range(n)])
    return f
case('11 kptrs',many(11),88); case('12 kptrs',many(12),96)
def karr(n):
    def f(b):
        t=b.st('loc',8,[('a',1,0)]); p=b.ptr(b.tag('kptr',t)); return b.st('v',n*8,[('p',b.arr(p,n),0)])
    return f
case('kptr array 3',karr(3),24); case('kptr array 12',karr(12),96)
def karrs(n):
    def f(b):
        t=b.st('loc',8,[('a',1,0)]); p=b.ptr(b.tag('kptr',t)); s=b.st('w',16,[('a',1,0),('p',p,8)]); return b.st('v',n*16,[('p',b.arr(s,n),0)])
    return f
case('struct array 3',karrs(3),48); case('struct array 12',karrs(12),192)
def timer_arr(b): return b.st('v',32,[('p',b.arr(tm(b),2),0)])
case('timer array',timer_arr,32)
def wrongsize(b): return b.st('v',8,[('p',b.st('bpf_spin_lock',8,[('a',1,0)]),0)])
case('lock wrong size',wrongsize,8)
def kmis(b):
    t=b.st('loc',8,[('a',1,0)]); p=b.ptr(b.tag('kptr',t)); return b.st('v',16,[('a',1,0),('p',p,4)])
case('kptr misaligned',kmis,16)
def uptrbig(b): t=b.st('big',8192,[('a',1,0)]); return b.st('v',8,[('p',b.ptr(b.tag('uptr',t)),0)])
case('uptr big',uptrbig,8,type=29,flags=1,max=0)
def uptr0(b): t=b.st('zero',0,[]); return b.st('v',8,[('p',b.ptr(b.tag('uptr',t)),0)])
case('uptr zero',uptr0,8,type=29,flags=1,max=0)


with open(OUT, 'w') as out:
    kernel = Btf()
    types = sorted({name for name in NAMES if kernel.find(STRUCT, name)})
    out.write(json.dumps({'kernel': kernel_release(), 'types': types}) + '\n')
    for row in ROWS:
        out.write(json.dumps(row) + '\n')
