/** LVM's programs and the kernel's device-mapper on this machine. */
import { LvmsyncError } from '../errors.js';
import { packageOf, runTool, type Tool } from '../lvm/run-tool.js';
import { checkThinDeltaVersion } from '../lvm/thin-delta.js';
import { type Finding, failure, ok, warning } from './finding.js';

/** What this machine would do: the one with the snapshot needs LVM, the one with the target may not. */
export type Role = 'sender' | 'receiver';

/** What is wrong, by how much it matters to this machine. */
type Complain = typeof failure;

export async function lookAtTools(role: Role): Promise<Finding[]> {
  const complain = role === 'sender' ? failure : warning;
  return [await lookAtLvm(complain), await lookAtDeviceMapper(complain), await lookAtThinDelta()];
}

async function lookAtLvm(complain: Complain): Promise<Finding> {
  return whereThere('lvm', 'lvs', complain, async () => {
    const { stdout } = await runTool('lvs', ['--version']);
    return ok('lvm', `LVM ${/LVM version:\s*(\S+)/.exec(stdout)?.[1] ?? 'of unknown version'}`);
  });
}

async function lookAtDeviceMapper(complain: Complain): Promise<Finding> {
  const name = 'device-mapper';
  return whereThere(name, 'dmsetup', complain, async () => {
    const { status, stdout } = await runTool('dmsetup', ['version']);
    const driver = /Driver version:\s*(\S+)/.exec(stdout)?.[1];
    if (status === 0 && driver !== undefined) return ok(name, `driver ${driver}`);
    if (process.geteuid?.() !== 0) {
      return complain(name, 'only root may ask the kernel for it', 'sudo lvmsync doctor');
    }
    return complain(
      name,
      'the kernel has none, or does not let it be used',
      'modprobe dm-snapshot',
    );
  });
}

async function lookAtThinDelta(): Promise<Finding> {
  const name = 'thin_delta';
  return whereThere(name, 'thin_delta', warning, async () => {
    await checkThinDeltaVersion();
    const { stdout } = await runTool('thin_delta', ['--version']);
    return ok(name, stdout.trim().split('\n')[0] ?? '');
  });
}

/** The finding, or that the program is not there or does not work. */
async function whereThere(
  name: string,
  tool: Tool,
  complain: Complain,
  look: () => Promise<Finding>,
): Promise<Finding> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    const use = tool === 'thin_delta' ? ', which thin volumes need' : '';
    return complain(name, `${error.message}${use}`, `apt install ${packageOf(tool)}`);
  }
}
