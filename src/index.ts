/**
 * The public API of lvmsync. The command line is built on this and on nothing else.
 *
 * Units: sizes, offsets and lengths are bytes, as `number`. Every function that fails throws a
 * {@link LvmsyncError} with a stable `code`.
 */
export type { Batch } from './block/batch.js';
export type { BlockFile, Engine, OpenOptions } from './block/engine.js';
export {
  type EngineChoice,
  type EngineOptions,
  type LoadedEngine,
  loadEngine,
} from './block/engines.js';
export { reasonOf } from './block/errno.js';
export { collectInOneGo } from './block/heap.js';
export { BUFFER_MEMORY, type IoLimits, type LimitRange, QUEUE_DEPTH } from './block/io-limits.js';
export type { Lock } from './block/lock.js';
export { answerDoctor } from './doctor/answer.js';
export { type DoctorOptions, type DoctorReport, doctor } from './doctor/doctor.js';
export { type ExamineOptions, examineHost } from './doctor/examine-host.js';
export type { Finding } from './doctor/finding.js';
export type { HostReport } from './doctor/host-report.js';
export { type ErrorCode, EXIT, type ExitCode, LvmsyncError } from './errors.js';
export type { Coverage } from './extents/coverage.js';
export type { ExtentSource, Extents } from './extents/extents.js';
export type { SampleSize } from './extents/sample.js';
export type { NewVolume } from './lvm/create-volume.js';
export { type Exceptions, readExceptions } from './lvm/exception-store.js';
export { type ApplyOptions, applyStream, checkStream } from './receive/apply.js';
export { type NamedInspection, type OrderGroup, orderOf } from './receive/apply-order.js';
export { MAX_KEPT, stateTime } from './receive/history-manifest.js';
export type { ReplicaRun } from './receive/history-plan.js';
export { type InspectOptions, inspectFile, inspectSource } from './receive/inspect.js';
export type { InspectedHeader, Inspection } from './receive/inspect-findings.js';
export type { KeptHistory, KeptSpool, KeptState, KeptTransfer } from './receive/kept-state.js';
export type { LinkPolicy } from './receive/links.js';
export { inspectForWriting } from './receive/open-to-verify.js';
export { type ReceiveOptions, type ReceiveReport, receive } from './receive/receive.js';
export { type RollbackOptions, type RollbackReport, rollback } from './receive/rollback.js';
export {
  listStates,
  type RollbackToOptions,
  type RollbackToReport,
  rollbackTo,
  type TargetStates,
} from './receive/rollback-to.js';
export { refuseSender } from './receive/tell-sender.js';
export { type VerifyTargetOptions, verifyTarget } from './receive/verify.js';
export { parseRate } from './report/bandwidth-rate.js';
export { progressJson, runJson } from './report/json-lines.js';
export {
  createProgress,
  type Progress,
  type ProgressModel,
  type ProgressOptions,
} from './report/progress.js';
export { barLine, plainLine } from './report/progress-line.js';
export { counted, inBitRate, inBytes, inDate, inPercent, inTime } from './report/quantities.js';
export { type EndedRun, type RunResult, resultJson } from './report/result-json.js';
export { openRunSocket, type RunSocketOptions } from './report/run-socket.js';
export type { RunIdentity, RunStatus } from './report/run-status.js';
export { listRuns, type Runs, setBandwidth } from './report/runs.js';
export { type MapWords, svgMap } from './report/svg-map.js';
export { drawMap, type TerminalLook } from './report/terminal-map.js';
export { type TransferFigures, transferLines, transferResult } from './report/transfer-summary.js';
export { formatBytes, formatDuration, formatRate } from './report/units.js';
export type { BaseCheck } from './send/base-check.js';
export {
  type ChangeSource,
  openSnapshotSource,
  openStoreSource,
  type SnapshotOptions,
  type StoreOptions,
} from './send/change-source.js';
export { lockSnapshot } from './send/lock-snapshot.js';
export { openNamedSource } from './send/named-source.js';
export type { LinkWishes } from './send/open-links.js';
export { type SendOptions, type SendReport, send } from './send/send.js';
export type { SkipUnchanged } from './send/skip-unchanged.js';
export { type SendTransferOptions, writeTransfer } from './send/transfer.js';
export { type ByteSource, withEachRead } from './stream/bytes.js';
export { printable } from './stream/messages.js';
export { type Bandwidth, createBandwidth } from './transport/bandwidth.js';
export { type BootstrapOptions, bootstrapped } from './transport/bootstrap.js';
export { openFileSource, streamSource } from './transport/byte-source.js';
export type { Channel, ChannelEnd, Transport } from './transport/channel.js';
export { type Destination, parseDestination, sshHostArgument } from './transport/destination.js';
export { localChannel } from './transport/local.js';
export { remoteCommandLine } from './transport/remote-command.js';
export { type RshOptions, rshTransport } from './transport/rsh.js';
export { runHere, runThere } from './transport/shell-command.js';
export { onQuestions, openTerminal, type Terminal } from './transport/ssh2/terminal.js';
export { type SshOptions, sshTransport } from './transport/ssh2/transport.js';
export { outputTo, standardOutput } from './transport/standard-output.js';
export type { Phase, RunWatcher, Saving } from './watcher.js';
export { type DeliverOptions, deliver, type Protocol } from './workflow/deliver.js';
export { estimateTransfer, type TransferEstimate } from './workflow/forecast.js';
export {
  type AbortOptions,
  abortMigration,
  type MigrateReport,
  migrate,
} from './workflow/migrate.js';
export type { MigrateOptions, MigrationPeer, OnStall, VerifyChoice } from './workflow/migration.js';
export { OFFERS, type Offer, type OfferOptions, offer } from './workflow/offer.js';
export {
  type MigrationOverview,
  type Overview,
  type OwnSnapshot,
  type ReplicaOverview,
  takeOverview,
} from './workflow/overview.js';
export {
  type AskOptions,
  listOffered,
  type OfferedSource,
  type PullOptions,
  type PullReport,
  pull,
} from './workflow/pull.js';
export { type Rehearsal, type RehearseOptions, rehearse } from './workflow/rehearse.js';
export type { Receiving, ReplicaPair, ReplicateOptions } from './workflow/replica.js';
export {
  type RemoveReplicaOptions,
  type ReplicateReport,
  removeReplica,
  replicate,
} from './workflow/replicate.js';
export type { SnapshotSize } from './workflow/store-size.js';
export {
  type ChangeSurvey,
  type Overflow,
  type SurveyOptions,
  surveySnapshot,
  surveyStore,
} from './workflow/survey.js';
export {
  type VerifyOptions,
  type VerifyReport,
  type VerifyWishes,
  verify,
} from './workflow/verify.js';
export { type VerifyPulledOptions, verifyPulled } from './workflow/verify-pulled.js';
