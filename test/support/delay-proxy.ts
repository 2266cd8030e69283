import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy on loopback behind which everything is as far away as it says. */
export interface DelayProxy {
  port: number;
  /** Cuts the connection that was made last. */
  cutLast(): void;
  close(): void;
}

/** Bytes pass unhindered in number, each `oneWayMs` later, in both directions. */
export async function startDelayProxy(targetPort: number, oneWayMs: number): Promise<DelayProxy> {
  const sockets = new Set<Socket>();
  let last: Socket | undefined;
  const server = createServer({ allowHalfOpen: true }, (near) => {
    last = near;
    const far = connect({ host: '127.0.0.1', port: targetPort, allowHalfOpen: true });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on(
        'data',
        (bytes: Buffer) => void setTimeout(() => to.writable && to.write(bytes), oneWayMs),
      );
      from.on('end', () => void setTimeout(() => to.end(), oneWayMs));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        if (!from.readableEnded) to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    cutLast: () => void last?.destroy(),
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
