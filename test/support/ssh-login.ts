// Logs in to HOST with the ssh_config CONFIG, asking on the terminal; for tests that need one.
import { sshTransport } from '#lvmsync/transport/ssh2/transport.js';

const [host = '', configPath] = process.argv.slice(2);
const transport = sshTransport({ host, configPath });
const channel = await transport.open(['true'], () => {});
const { status } = await channel.end;
await transport.close();
process.stdout.write(status === 0 ? 'logged in\n' : 'failed\n');
