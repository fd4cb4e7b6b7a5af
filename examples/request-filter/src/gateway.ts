/** An HTTP gateway whose filters are eBPF programs: plug-ins that cannot crash it, loop for ever, or see more than a request. */

import { createServer, type Server } from 'node:http';

import type { Kernel } from '@libbpf-ts/kernel';
import { defineHook, type CustomHook, type HookPoint } from '@libbpf-ts/mprog';
import { struct, u16, u32 } from '@libbpf-ts/uapi';

/** Program, attach and link type of the hook; outside of the ABI's range. */
export const BPF_REQUEST = 0x1_0300;

/** What a filter sees: the path between `data` and `data_end`, the method, and what it may set: the status of a refusal, a cost. */
export const request_ctx = struct('request_ctx', { data: u32, data_end: u32, method: u32, status: u16, cost: u32 });

export const METHODS: Readonly<Record<string, number>> = { GET: 1, HEAD: 2, POST: 3, PUT: 4, DELETE: 5 };

export const requestHook: CustomHook<typeof request_ctx, 'NEXT' | 'ALLOW' | 'DENY'> = defineHook({
  name: 'request',
  number: BPF_REQUEST,
  context: request_ctx,
  writable: ['status', 'cost'],
  codes: { NEXT: -1, ALLOW: 0, DENY: 1 },
  next: 'NEXT',
  fallback: 'ALLOW',
  bounds: true,
});

/** A server that asks the programs of `point` about every request. */
export function gateway(point: HookPoint<typeof request_ctx>): Server {
  const encoder = new TextEncoder();
  return createServer((incoming, outgoing) => {
    const method = METHODS[incoming.method ?? ''] ?? 0;
    const { verdict, context, path } = requestHook.run(point, { method }, encoder.encode(incoming.url ?? '/'));
    outgoing.setHeader('x-filters', path.map(({ prog }) => prog).join(','));
    outgoing.setHeader('x-cost', String(context.cost));
    if (verdict === 'DENY') outgoing.writeHead(context.status || 403).end('refused\n');
    else outgoing.writeHead(200).end('hello\n');
  });
}

/** The place of one gateway in a kernel that has the hook's subsystem. */
export function openGateway(kernel: Kernel, name: string): HookPoint<typeof request_ctx> {
  return requestHook.open(kernel, name);
}
