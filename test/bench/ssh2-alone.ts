/** ssh2-alone CONFIG HOST BYTES: sends so many bytes from memory to a `cat` there. */
import { sshTransport } from '#lvmsync/transport/ssh2/transport.js';
import { createStreamWriter } from '#lvmsync/transport/stream-writer.js';

const [configPath = '', host = '', bytes = '0'] = process.argv.slice(2);
const transport = sshTransport({ host, configPath, terminal: null });
const channel = await transport.open(['dd', 'of=/dev/null', 'bs=1M'], () => {});
channel.answers.discard();
const writer = createStreamWriter(channel.input);
const buffer = Buffer.alloc(1 << 20, 7);
for (let sent = 0; sent < Number(bytes); sent += buffer.length) {
  await writer.write(buffer);
}
channel.input.end();
await channel.end;
await transport.close();
