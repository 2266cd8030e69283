import { type ChangeSurvey, drawMap, surveySnapshot, surveyStore, svgMap } from '../index.js';
import type { DiffOwnOptions } from './diff-command.js';
import { changedWords, diffJson, diffText } from './diff-report.js';
import { openEngine } from './engine.js';
import { type Job, usageError } from './job.js';
import { terminalLook, writePicture } from './map.js';
import { printJson, printText } from './print.js';

/** `lvmsync diff SNAPSHOT`. */
export async function runDiff(job: Job<DiffOwnOptions>): Promise<undefined> {
  const { options } = job;
  const survey = await takeSurvey(job);
  if (options.svg !== undefined) {
    const words = { title: survey.name, subtitle: `${changedWords(survey)} changed` };
    await writePicture(options.svg, svgMap(survey.coverage, survey.volumeBytes, words));
  }
  if (options.json) {
    printJson(diffJson(survey, options.link));
    return;
  }
  let text = diffText(survey, options.link, Date.now() / 1000);
  if (options.map) {
    const look = terminalLook(process.stdout, process.env);
    const lines = drawMap(survey.coverage, survey.volumeBytes, look);
    text += `\n${lines.join('\n')}\n`;
  }
  printText(text);
}

function takeSurvey(job: Job<DiffOwnOptions>): Promise<ChangeSurvey> {
  const { source: name, options, reporter, signal } = job;
  const { cowDevice, dataSource, against, force, stateDir } = options;
  if (cowDevice !== undefined) {
    if (name !== undefined) throw usageError('--cow-device takes the place of a snapshot');
    if (dataSource === undefined) {
      throw usageError('--cow-device needs --data-source: the origin that it belongs to');
    }
    return surveyStore({ storePath: cowDevice, dataPath: dataSource, engine: openEngine(job) });
  }
  if (name === undefined) throw usageError('no snapshot given', 'try: lvmsync diff SNAPSHOT');
  if (dataSource !== undefined) {
    throw usageError(
      '--data-source goes with --cow-device',
      'to compare two thin snapshots: --against',
    );
  }
  return surveySnapshot({
    name,
    against,
    force,
    engine: openEngine(job),
    stateDirectory: stateDir,
    signal,
    // What would make a run doubtful, such as a mounted origin, does not matter to a look.
    onWarning: reporter.note,
  });
}
