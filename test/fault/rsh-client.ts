/**
 * What `-e` runs in place of ssh: hands its two streams, and the remote command line, to the test
 * that listens on the socket named first. Arguments: SOCKET HOST COMMAND-LINE. When the socket
 * closes, SOCKET.end says what to print and with which status to end.
 */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

const [, , socketPath = '', , commandLine = ''] = process.argv;
const socket = connect({ path: socketPath, allowHalfOpen: true });
socket.write(`${JSON.stringify(commandLine)}\n`);
process.stdin.pipe(socket);
socket.pipe(process.stdout);
process.stdout.on('error', () => socket.destroy());
socket.on('end', () => socket.destroy()); // the far side is gone, as when ssh's connection ends
socket.on('error', () => {});
socket.on('close', () => {
  let end = { status: 255, stderr: '' };
  try {
    end = JSON.parse(readFileSync(`${socketPath}.end`, 'utf8')) as typeof end;
  } catch {
    // cut before the far side ended: what ssh says then
  }
  process.stderr.write(end.stderr, () => process.exit(end.status));
});
