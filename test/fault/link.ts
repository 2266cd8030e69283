/** The two ends of a transfer as real processes, with the test in the middle of their bytes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { lvmsyncPath, repositoryRoot } from '../support/repository.js';
import type { Passage, Step } from './interference.js';

/** No run of this size takes longer, whatever happens to it: beyond that it hangs. */
const HANG_MS = 40_000;

export interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
}

export interface Link {
  sender: RunningProcess | undefined;
  receiver: RunningProcess | undefined;
  /** Loses the connection: both ends see nothing more of each other. */
  cut(): void;
}

/** What happens to one run. */
export interface Fault {
  /** On the way to the receiver. */
  up?: Passage;
  /** On the way back, where there is one. */
  down?: Passage;
}

export interface RunningProcess {
  pid: number;
  child: ChildProcess;
  ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts this checkout's lvmsync. One that hangs is killed, and says so in its stderr. */
export function startLvmsync(args: readonly string[]): RunningProcess {
  return running(spawn(process.execPath, [lvmsyncPath, ...args], { stdio: 'pipe' }));
}

function running(child: ChildProcess): RunningProcess {
  const stderr: Buffer[] = [];
  child.stderr?.on('data', (data: Buffer) => stderr.push(data));
  child.stdin?.on('error', () => {}); // it may end without reading its input
  child.stdout?.on('error', () => {});
  const stderrClosed = new Promise((resolve) => child.stderr?.once('close', resolve));
  const ended = new Promise<Ended>((resolve) => {
    const timer = setTimeout(() => {
      stderr.push(Buffer.from('HANGS: killed by the test\n'));
      child.kill('SIGKILL');
    }, HANG_MS);
    child.on('exit', async (status, signal) => {
      clearTimeout(timer);
      // A process that the sender started may hold its standard error open for longer.
      await Promise.race([stderrClosed, delay(1000, undefined, { ref: false })]);
      resolve({ status, signal, stderr: Buffer.concat(stderr).toString() });
    });
  });
  return {
    pid: child.pid ?? 0,
    child,
    ended,
    kill: (signal) => {
      child.kill(signal);
    },
  };
}

/** How both ends of a run ended; undefined for an end that was no process of its own. */
export interface RunEnds {
  sender: Ended | undefined;
  receiver: Ended | undefined;
}

/** `lvmsync SENDER... | lvmsync --apply -`, with the fault in the pipe. */
export async function runPiped(
  senderArgs: readonly string[],
  receiverArgs: readonly string[],
  fault: Fault,
): Promise<RunEnds> {
  const sender = startLvmsync(senderArgs);
  const receiver = startLvmsync(receiverArgs);
  const link: Link = {
    sender,
    receiver,
    cut() {
      sender.child.stdout?.destroy();
      receiver.child.stdin?.end();
    },
  };
  receiver.child.stdout?.resume();
  sender.child.stdin?.end();
  void pump(sender.child.stdout!, receiver.child.stdin!, fault.up, link);
  const [senderEnd, receiverEnd] = await Promise.all([sender.ended, receiver.ended]);
  return { sender: senderEnd, receiver: receiverEnd };
}

const CLIENT = fileURLToPath(new URL('rsh-client.js', import.meta.url));
let sockets = 0;

/**
 * `lvmsync -e CLIENT ... HOST:TARGET`, with the fault between both ends. Only the first connection
 * is disturbed. As over ssh, a lost connection and a receiver that dies of a signal are status 255.
 */
export async function runOverRsh(
  directory: string,
  senderArgs: readonly string[],
  fault: Fault,
): Promise<RunEnds> {
  const socketPath = join(directory, `socket-${++sockets}`);
  const link: Link = { sender: undefined, receiver: undefined, cut: () => {} };
  let connections = 0;
  const receivers: Promise<Ended>[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const first = connections++ === 0;
    const oneLink: Link = first ? link : { ...link };
    serve(socket, socketPath, oneLink, first ? fault : {}, (receiver) => {
      receivers.push(receiver.ended);
    });
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const rsh = `${process.execPath} ${CLIENT} ${socketPath}`;
  link.sender = startLvmsync(['-e', rsh, ...senderArgs]);
  link.sender.child.stdout?.resume();
  link.sender.child.stdin?.end();
  const sender = await link.sender.ended;
  const receiver = (await Promise.all(receivers)).at(-1);
  server.close();
  return { sender, receiver };
}

function serve(
  socket: Socket,
  socketPath: string,
  link: Link,
  fault: Fault,
  onReceiver: (receiver: RunningProcess) => void,
): void {
  let commandLine = Buffer.alloc(0);
  let cut = false;
  socket.on('error', () => {});
  socket.on('data', function collect(data: Buffer) {
    commandLine = Buffer.concat([commandLine, data]);
    const end = commandLine.indexOf('\n');
    if (end < 0) return;
    socket.off('data', collect);
    socket.pause();
    socket.unshift(commandLine.subarray(end + 1));
    const words = JSON.parse(commandLine.subarray(0, end).toString()) as string;
    rmSync(`${socketPath}.end`, { force: true });
    const receiver = running(
      spawn('sh', ['-c', `exec ${words}`], {
        stdio: 'pipe',
        env: { ...process.env, PATH: `${join(repositoryRoot, 'bin')}:${process.env.PATH}` },
      }),
    );
    link.receiver = receiver;
    onReceiver(receiver);
    link.cut = () => {
      cut = true;
      socket.destroy();
      receiver.child.stdin?.end();
    };
    const answered = pump(receiver.child.stdout!, socket, fault.down, link, false);
    void pump(socket, receiver.child.stdin!, fault.up, link);
    void Promise.all([receiver.ended, answered]).then(([{ status, stderr }]) => {
      if (cut) return;
      writeFileSync(`${socketPath}.end`, JSON.stringify({ status: status ?? 255, stderr }));
      socket.end();
      // Not at once: what the sender still writes would fail there, and its client would not read on.
      setTimeout(() => socket.destroy(), 1000).unref();
    });
  });
}

/** Passes bytes on, through what happens to them, until they end; a closed end just takes none. */
async function pump(
  from: Readable,
  to: Writable,
  passage: Passage | undefined,
  link: Link,
  endToo = true,
): Promise<void> {
  to.on('error', () => {});
  const take = async (steps: Step[]) => {
    for (const step of steps) {
      if (typeof step === 'function') await step(link);
      else await write(to, step);
    }
  };
  try {
    // A socket must stay open the other way when this way has ended.
    for await (const chunk of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      await take(passage?.pass(chunk) ?? [chunk]);
    }
    await take(passage?.end?.() ?? []);
  } catch {
    // destroyed on purpose, or by the death of an end
  }
  if (endToo) to.end();
}

function write(to: Writable, bytes: Buffer): Promise<void> | undefined {
  if (bytes.length === 0 || to.destroyed || to.writableEnded) return undefined;
  return new Promise((resolve) => {
    const done = () => {
      to.off('close', done);
      resolve();
    };
    to.once('close', done); // a stream that broke may never call back
    to.write(bytes, done);
  });
}
