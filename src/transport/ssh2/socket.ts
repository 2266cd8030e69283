import { spawn } from 'node:child_process';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { reasonOf } from '../../block/errno.js';
import { LvmsyncError } from '../../errors.js';
import type { SshConfig } from './config.js';

/** Opens TCP to the configured host and port. @throws LvmsyncError CONNECT_FAILED */
export function connectTcp(config: SshConfig): Promise<Socket> {
  const { hostName, port } = config;
  const options: NetConnectOpts = {
    host: hostName,
    port,
    noDelay: true,
    keepAlive: true,
    ...(config.addressFamily === undefined ? {} : { family: config.addressFamily }),
    ...(config.bindAddress === undefined ? {} : { localAddress: config.bindAddress }),
  };
  return new Promise((resolve, reject) => {
    const socket = connect(options);
    const fail = (cause: unknown) => {
      clearTimeout(timer);
      socket.destroy();
      reject(cannotConnect(hostName, port, cause));
    };
    const timer = setTimeout(
      () => fail(new Error(`no answer in ${config.connectTimeoutMs / 1000} s`)),
      config.connectTimeoutMs,
    );
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

/**
 * Runs a ProxyCommand and speaks through its standard input and output. The command is the user's
 * own configuration and is a shell command by definition (ssh_config(5)), run as ssh runs it.
 */
export function connectProxyCommand(command: string, environment: NodeJS.ProcessEnv): Duplex {
  const shell = environment.SHELL ?? '/bin/sh';
  const child = spawn(shell, ['-c', `exec ${command}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: environment,
  });
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
  child.once('error', (cause) => {
    const hint = 'check ProxyCommand in the SSH configuration';
    stream.destroy(new LvmsyncError('CONNECT_FAILED', `cannot run ${shell}`, { cause, hint }));
  });
  stream.once('close', () => child.kill());
  return stream;
}

function cannotConnect(host: string, port: number, cause: unknown): LvmsyncError {
  const { errno, words } = reasonOf(cause);
  const reason = SAID.get(errno ?? '') ?? words;
  return new LvmsyncError('CONNECT_FAILED', `cannot connect to ${host} port ${port}: ${reason}`, {
    cause,
    hint: 'check the host name and the port (~/.ssh/config), and that sshd runs there',
    ...(errno === undefined ? {} : { errno }),
  });
}

const SAID = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['ENOTFOUND', 'the name cannot be resolved'],
  ['EAI_AGAIN', 'the name cannot be resolved now'],
  ['EHOSTUNREACH', 'no route to host'],
  ['ENETUNREACH', 'network is unreachable'],
  ['ETIMEDOUT', 'connection timed out'],
]);
