// Schema ef44430ef6b1e4134c11efb758841753bd112f409aeb1da659b2182d6be218b7
// Made by make_types.mjs from the protocol's JSON Schema; changes belong there.

/**
 * One message. A receiver ignores types and fields that it does not know.
 */
export type AnyMessage = FromClient | FromServer;
export type FromClient =
  | Hello
  | Upload
  | Submit
  | Resubmit
  | Cancel
  | Move
  | Resume
  | Ack
  | ListJobs
  | Fetch
  | FetchThumbnail
  | FetchSubmission
  | Export
  | Delete
  | Rename
  | ReadFile
  | ScaleLayer
  | FetchPixels
  | ListStyles
  | SaveStyle
  | DeleteStyle;
export type FromServer =
  | Welcome
  | Refused
  | UploadReady
  | Uploaded
  | UploadRefused
  | Accepted
  | Queued
  | Started
  | Notice
  | Progress
  | Preview
  | Masks
  | LayerBegin
  | LayerEnd
  | Done
  | Failed
  | Cancelled
  | JobList
  | FileBegin
  | FileEnd
  | Thumbnail
  | Submission
  | FetchFailed
  | Deleted
  | DeleteFailed
  | Renamed
  | RenameFailed
  | FileRead
  | ReadFailed
  | LayerScaled
  | PixelsBegin
  | PixelsEnd
  | LayerFailed
  | Styles
  | StyleFailed;

/**
 * Client: the first message of every connection, with the client's name and version.
 */
export interface Hello {
  type: "hello";
  protocol: [number, number];
  client: string;
  version: string;
  identity?: string | null;
}
/**
 * Client: the start of an upload. The chunks must follow after the answer `UploadReady`.
 */
export interface Upload {
  type: "upload";
  transfer: number;
  layer: string;
  bytes: number;
  codec?: "raw";
  file?: boolean;
  resumes?: boolean;
}
/**
 * Client: draw a picture. The answer is `Accepted` or `Failed`.
 */
export interface Submit {
  type: "submit";
  job: string;
  width: number;
  height: number;
  background: Generated | Kept | Relit;
  /**
   * @minItems 1
   * @maxItems 64
   */
  foregrounds: (Generated | Kept | Relit)[];
  blended_prompt?: string | null;
  blended_strength?: number | null;
  seed?: number;
  steps?: number | null;
  guidance_scale?: number | null;
  guidance_rescale?: number | null;
  sampler?: string | null;
  preset?: string | null;
  /**
   * @minItems 0
   * @maxItems 64
   */
  switches?: Switch[];
  harmony?: "clean" | "exact";
  refine?: number;
  literal_prompts?: boolean;
  model: string;
  priority?: "interactive" | "batch";
  replaces?: string | null;
  /**
   * @minItems 0
   * @maxItems 15
   */
  variants?: Variant[];
  masks?: boolean;
  passing?: boolean;
}
/**
 * A layer that is drawn from a prompt.
 */
export interface Generated {
  prompt: string;
  negative_prompt?: string;
  seed?: number | null;
  box?: Box | null;
  shape?: string | null;
  kind: "generated";
}
/**
 * A rectangle on the canvas: the position of its top left pixel, and its size, in pixels.
 */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}
/**
 * A layer that is kept: it guides the other layers and is returned byte for byte. For the fields see `Existing`.
 */
export interface Kept {
  layer: string;
  width: number;
  height: number;
  x?: number;
  y?: number;
  name: string;
  prompt: string;
  blend?: "normal" | "multiply" | "add";
  opacity?: number;
  visible?: boolean;
  format?: "bgra8";
  kind: "kept";
}
/**
 * A layer that is drawn over, starting from the artist's pixels, so that it fits the picture.
 */
export interface Relit {
  layer: string;
  width: number;
  height: number;
  x?: number;
  y?: number;
  name: string;
  prompt: string;
  blend?: "normal" | "multiply" | "add";
  opacity?: number;
  visible?: boolean;
  format?: "bgra8";
  negative_prompt?: string;
  seed?: number | null;
  strength?: number;
  kind: "relit";
}
/**
 * One option of the method with its value. The protocol calls options switches.
 */
export interface Switch {
  name: string;
  value: string;
}
/**
 * A further picture of the same submission with another seed.
 */
export interface Variant {
  job: string;
  seed: number;
}
/**
 * Client: draw the picture of an earlier job again, as a new job. The answer is `Accepted` or `Failed`.
 */
export interface Resubmit {
  type: "resubmit";
  job: string;
  of: string;
  masks?: boolean;
}
/**
 * Client: stop a waiting or running job. The answer is the job's last event, usually `Cancelled`.
 */
export interface Cancel {
  type: "cancel";
  job: string;
}
/**
 * Client: change the order of its waiting jobs. There is no answer; the jobs whose position changes get `Queued`.
 */
export interface Move {
  type: "move";
  job: string;
  before?: string | null;
}
/**
 * Client: send a job's events, for example after the connection was lost. The answer is `Accepted` or `Failed`.
 */
export interface Resume {
  type: "resume";
  job: string;
  after?: number;
  received?: number;
}
/**
 * Client: a job's events up to `seq` were received and saved. There is no answer.
 */
export interface Ack {
  type: "ack";
  job: string;
  seq: number;
}
/**
 * Client: list the jobs. The answer is `JobList`.
 */
export interface ListJobs {
  type: "list_jobs";
  newest?: number;
  own?: boolean;
}
/**
 * Client: send a finished layer again. The answer is `LayerBegin`, chunks and `LayerEnd`, or `FetchFailed`.
 */
export interface Fetch {
  type: "fetch";
  job: string;
  index: number;
}
/**
 * Client: send a small picture of a finished job. The answer is `Thumbnail` or `FetchFailed`.
 */
export interface FetchThumbnail {
  type: "fetch_thumbnail";
  job: string;
  side?: number;
}
/**
 * Client: send the submission of a job, whoever made it. The answer is `Submission` or `FetchFailed`.
 */
export interface FetchSubmission {
  type: "fetch_submission";
  job: string;
}
/**
 * Client: send a finished job as a file. The answer is `FileBegin`, chunks and `FileEnd`, or `FetchFailed`.
 */
export interface Export {
  type: "export";
  job: string;
  format: "psd" | "ora" | "png" | "zip";
  prompts?: boolean;
  /**
   * @minItems 0
   * @maxItems 256
   */
  layers?: Placed[];
}
/**
 * A layer with its place in a picture.
 */
export interface Placed {
  layer: string;
  width: number;
  height: number;
  x?: number;
  y?: number;
  name: string;
  role: "background" | "foreground" | "shadow" | "light" | "blended";
  blend?: "normal" | "multiply" | "add";
  opacity?: number;
  visible?: boolean;
  prompt?: string;
}
/**
 * Client: delete a job that is over, with its prompts, layers and files. The answer is `Deleted` or `DeleteFailed`.
 */
export interface Delete {
  type: "delete";
  job: string;
}
/**
 * Client: give a job a name for lists and files. The answer is `Renamed` or `RenameFailed`.
 */
export interface Rename {
  type: "rename";
  job: string;
  name: string;
}
/**
 * Client: read an uploaded file, such as a PSD, as layers. The answer is `FileRead` or `ReadFailed`.
 */
export interface ReadFile {
  type: "read_file";
  file: string;
  name: string;
}
/**
 * Client: make a larger or smaller copy of a layer. The answer is `LayerScaled` or `LayerFailed`.
 */
export interface ScaleLayer {
  type: "scale_layer";
  layer: string;
  width: number;
  height: number;
  to_width: number;
  to_height: number;
}
/**
 * Client: send the pixels of a layer. The answer is `PixelsBegin`, chunks and `PixelsEnd`, or `LayerFailed`.
 */
export interface FetchPixels {
  type: "fetch_pixels";
  layer: string;
}
/**
 * Client: list the user's styles. The answer is `Styles`.
 */
export interface ListStyles {
  type: "list_styles";
}
/**
 * Client: save a style for all clients of the user. The answer is `Styles` or `StyleFailed`.
 */
export interface SaveStyle {
  type: "save_style";
  style: Style;
  replaces?: string | null;
}
/**
 * How pictures are drawn, without what they show.
 */
export interface Style {
  name: string;
  model?: string | null;
  preset?: string | null;
  sampler?: string | null;
  prompt?: string;
  negative_prompt?: string;
  /**
   * @minItems 0
   * @maxItems 16
   */
  loras?: StyleLora[];
}
/**
 * A LoRA and its strength.
 */
export interface StyleLora {
  name: string;
  weight?: number;
}
/**
 * Client: delete a style. The answer is `Styles`, also if there is no style of that name, or `StyleFailed`.
 */
export interface DeleteStyle {
  type: "delete_style";
  name: string;
}
/**
 * Server: the answer to `Hello`.
 */
export interface Welcome {
  type: "welcome";
  protocol: [number, number];
  version: string;
  instance: string;
  models: ModelInfo[];
  limits: Limits;
  codecs: string[];
  problem?: string;
  user?: string;
}
/**
 * A model of the server, and its defaults.
 */
export interface ModelInfo {
  name: string;
  title: string;
  steps: number;
  guidance_scale: number;
  guidance_rescale: number;
  sampler: string;
  samplers: string[];
  examples: Example[];
  notice: string;
  vocabulary?: Phrases[];
  notice_sentences?: Sentence[];
  preset_steps?: PresetSteps[];
}
/**
 * Example prompts for one picture.
 */
export interface Example {
  foreground: string;
  background: string;
}
/**
 * Phrases of one kind that a model knows.
 */
export interface Phrases {
  kind: string;
  phrases: string[];
}
/**
 * A sentence by its name, so that a client can say it in another language.
 */
export interface Sentence {
  name: string;
  values?: SentenceValue[];
}
/**
 * A value in a sentence: a number, a name or a word.
 */
export interface SentenceValue {
  name: string;
  value: string;
}
/**
 * In how many steps a model draws with a preset, if a job does not say it.
 */
export interface PresetSteps {
  preset: string;
  steps: number;
}
/**
 * The server's limits.
 */
export interface Limits {
  frame_bytes: number;
  chunk_bytes: number;
  layer_bytes: number;
  min_side: number;
  max_side: number;
  max_aspect: number;
  prompt_characters: number;
  foregrounds: number;
  steps: number;
  waiting_jobs: number;
  file_bytes?: number;
}
/**
 * Server: the reason why it ends the connection. It then closes the websocket.
 */
export interface Refused {
  type: "refused";
  code: string;
  message: string;
  hint?: string;
}
/**
 * Server: it waits for the chunks.
 */
export interface UploadReady {
  type: "upload_ready";
  transfer: number;
  received?: number;
}
/**
 * Server: it has the layer, from this upload or an earlier one. Submissions may refer to it.
 */
export interface Uploaded {
  type: "uploaded";
  transfer: number;
}
/**
 * Server: the reason why an upload was refused. Further chunks of it are ignored.
 */
export interface UploadRefused {
  type: "upload_refused";
  code: string;
  message: string;
  hint?: string;
  transfer: number;
}
/**
 * Server: it has the job, and will send the job's events on this connection.
 */
export interface Accepted {
  type: "accepted";
  job: string;
  position: number;
  notice?: string;
  starts_in?: number | null;
}
/**
 * Server: the position of a waiting job has changed. It has no number; the next one replaces it.
 */
export interface Queued {
  type: "queued";
  job: string;
  position: number;
  starts_in?: number | null;
}
/**
 * Server: drawing begins. It is the first event of a job.
 */
export interface Started {
  type: "started";
  job: string;
  seq: number;
}
/**
 * Server: a fact that the artist must know about the picture.
 */
export interface Notice {
  type: "notice";
  job: string;
  seq: number;
  code: string;
  text: string;
  sentences?: Sentence[];
}
/**
 * Server: the progress of a running job. It has no number and comes at most ten times a second.
 */
export interface Progress {
  type: "progress";
  job: string;
  stage: string;
  text?: string;
  step: number;
  total: number;
  eta?: number | null;
}
/**
 * Server: a small preview of a layer that is being drawn. It has no number and may be omitted.
 */
export interface Preview {
  type: "preview";
  job: string;
  role: "background" | "foreground" | "shadow" | "light" | "blended";
  index: number;
  width: number;
  height: number;
  pixels: Uint8Array;
  format?: "bgra8";
}
/**
 * Server: the priors and masks of one step and one foreground, for a job with `Submit.masks`.
 */
export interface Masks {
  type: "masks";
  job: string;
  seq: number;
  foreground: number;
  time: number;
  trust: number;
  width: number;
  height: number;
  maps: Uint8Array;
}
/**
 * Server: the start of a finished layer. Its chunks follow, and then `LayerEnd` with the same `seq`.
 */
export interface LayerBegin {
  type: "layer_begin";
  job: string;
  seq: number;
  transfer: number;
  index: number;
  name: string;
  role: "background" | "foreground" | "shadow" | "light" | "blended";
  x: number;
  y: number;
  width: number;
  height: number;
  blend: "normal" | "multiply" | "add";
  opacity: number;
  visible: boolean;
  bytes: number;
  sha256: string;
  format?: "bgra8";
  codec?: "raw";
  skipped?: number;
}
/**
 * Server: all chunks of the layer were sent.
 */
export interface LayerEnd {
  type: "layer_end";
  job: string;
  seq: number;
  transfer: number;
}
/**
 * Server: all layers were sent. It is the last event of a job.
 */
export interface Done {
  type: "done";
  job: string;
  seq: number;
  layers: number;
  record?: string;
}
/**
 * Server: the job failed, or was not accepted. It is the last event of a job.
 */
export interface Failed {
  type: "failed";
  code: string;
  message: string;
  hint?: string;
  job: string;
  seq: number;
}
/**
 * Server: the job was cancelled. It is the last event of a job.
 */
export interface Cancelled {
  type: "cancelled";
  job: string;
  seq: number;
  replaced_by?: string | null;
}
/**
 * Server: the jobs, newest first.
 */
export interface JobList {
  type: "job_list";
  jobs: JobSummary[];
}
/**
 * One job in a list.
 */
export interface JobSummary {
  job: string;
  state: "queued" | "running" | "finished" | "failed" | "cancelled" | "interrupted";
  title: string;
  width: number;
  height: number;
  layers: number;
  submitted: number;
  ended: number | null;
  fetched: boolean;
  name?: string;
  submission?: string | null;
}
/**
 * Server: the start of a file. Its chunks follow, and then `FileEnd`.
 */
export interface FileBegin {
  type: "file_begin";
  job: string;
  transfer: number;
  format: "psd" | "ora" | "png" | "zip";
  bytes: number;
  sha256: string;
}
/**
 * Server: all chunks of the file were sent.
 */
export interface FileEnd {
  type: "file_end";
  job: string;
  transfer: number;
}
/**
 * Server: a small picture of a finished job, with its visible layers composited.
 */
export interface Thumbnail {
  type: "thumbnail";
  job: string;
  width: number;
  height: number;
  pixels: Uint8Array;
  format?: "bgra8";
}
/**
 * Server: what a job draws, so that another client can go on from it.
 */
export interface Submission {
  type: "submission";
  job: string;
  submit: Submit;
}
/**
 * Server: the reason why a layer, file, thumbnail or submission cannot be sent. The job itself does not change.
 */
export interface FetchFailed {
  type: "fetch_failed";
  code: string;
  message: string;
  hint?: string;
  job: string;
  index?: number | null;
  format?: ("psd" | "ora" | "png" | "zip") | null;
}
/**
 * Server: it does not have the job any more. Layers that other jobs need are kept.
 */
export interface Deleted {
  type: "deleted";
  job: string;
}
/**
 * Server: the reason why a job was not deleted. The job itself does not change.
 */
export interface DeleteFailed {
  type: "delete_failed";
  code: string;
  message: string;
  hint?: string;
  job: string;
}
/**
 * Server: the job has this name now, on every client.
 */
export interface Renamed {
  type: "renamed";
  job: string;
  name: string;
}
/**
 * Server: the reason why a job was not renamed. The job itself does not change.
 */
export interface RenameFailed {
  type: "rename_failed";
  code: string;
  message: string;
  hint?: string;
  job: string;
}
/**
 * Server: what it has read from a file. It has the layers like uploaded ones, and sends them after `FetchPixels`.
 */
export interface FileRead {
  type: "file_read";
  file: string;
  width: number;
  height: number;
  title: string;
  /**
   * @minItems 1
   * @maxItems 256
   */
  layers: Placed[];
  record?: string;
}
/**
 * Server: the reason why a file cannot be read. It keeps nothing of it.
 */
export interface ReadFailed {
  type: "read_failed";
  code: string;
  message: string;
  hint?: string;
  file: string;
}
/**
 * Server: it has the copy like an uploaded layer.
 */
export interface LayerScaled {
  type: "layer_scaled";
  layer: string;
  to_width: number;
  to_height: number;
  scaled: string;
}
/**
 * Server: the start of a layer's pixels. Its chunks follow, and then `PixelsEnd`.
 */
export interface PixelsBegin {
  type: "pixels_begin";
  transfer: number;
  bytes: number;
  sha256: string;
}
/**
 * Server: all chunks were sent.
 */
export interface PixelsEnd {
  type: "pixels_end";
  transfer: number;
}
/**
 * Server: the reason why a layer cannot be scaled or sent.
 */
export interface LayerFailed {
  type: "layer_failed";
  code: string;
  message: string;
  hint?: string;
  layer: string;
}
/**
 * Server: the user's styles, by name.
 */
export interface Styles {
  type: "styles";
  styles: Style[];
}
/**
 * Server: the reason why a style was not saved or deleted. The styles themselves do not change.
 */
export interface StyleFailed {
  type: "style_failed";
  code: string;
  message: string;
  hint?: string;
  name?: string | null;
}
