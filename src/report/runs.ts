/** The runs of this user that are in flight on this machine. */
import { readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { LvmsyncError } from '../errors.js';
import { assertOwn, runDirectoryPath } from './run-directory.js';
import { formatRequest, MAX_STATUS_BYTES, parseStatus, type RunStatus } from './run-status.js';

const ANSWER_MS = 2000;

export interface Runs {
  /** In the order in which they began. */
  runs: RunStatus[];
  /** Process ids of those that are there and do not answer: stopped, or of another version. */
  silent: number[];
}

/** All runs in flight. What dead ones have left is removed. @throws LvmsyncError OPEN_FAILED */
export async function listRuns(): Promise<Runs> {
  const answers = await Promise.all(findSockets().map((socket) => ask(socket)));
  const runs: RunStatus[] = [];
  const silent: number[] = [];
  for (const answer of answers) {
    if (answer === 'dead') continue;
    if (typeof answer === 'number') silent.push(answer);
    else runs.push(answer);
  }
  runs.sort((one, other) => one.startedAt - other.startedAt || one.pid - other.pid);
  return { runs, silent };
}

/**
 * Changes the limit of a run in flight, from now on.
 *
 * @param bytesPerSecond 0: no limit
 * @returns the run as it is then
 * @throws LvmsyncError RUN_NOT_FOUND, OPEN_FAILED
 */
export async function setBandwidth(pid: number, bytesPerSecond: number): Promise<RunStatus> {
  for (const socket of findSockets().filter((each) => each.pid === pid)) {
    const answer = await ask(socket, bytesPerSecond);
    if (typeof answer === 'object') return answer;
    if (typeof answer === 'number') {
      throw new LvmsyncError('RUN_NOT_FOUND', `process ${pid} does not answer`, {
        hint: 'it is stopped, or of another version of lvmsync; the limit is as it was',
      });
    }
  }
  throw new LvmsyncError('RUN_NOT_FOUND', `there is no run in flight with process id ${pid}`, {
    hint: 'lvmsync status shows those that there are',
  });
}

interface RunSocket {
  pid: number;
  path: string;
}

function findSockets(): RunSocket[] {
  const directory = runDirectoryPath();
  assertOwn(directory);
  const sockets: RunSocket[] = [];
  for (const name of namesIn(directory)) {
    const [, pid] = /^(\d+)\.[0-9a-f]{8}$/.exec(name) ?? [];
    if (pid !== undefined) sockets.push({ pid: Number(pid), path: join(directory, name) });
  }
  return sockets;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // no run has made it yet
  }
}

/** A status; the process id of what is there and does not answer; or that nothing is there. */
function ask({ pid, path }: RunSocket, limit?: number): Promise<RunStatus | number | 'dead'> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(path);
    const timer = setTimeout(() => socket.destroy(), ANSWER_MS);
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.end(formatRequest(limit)));
    socket.on('data', (part: string) => {
      text += part;
      if (text.length > MAX_STATUS_BYTES) socket.destroy();
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'ECONNREFUSED') rmSync(path, { force: true });
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve('dead');
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(parseStatus(text) ?? pid);
    });
  });
}
