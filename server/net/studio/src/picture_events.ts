// What the events of a job change in its picture.
import { unpackMasks } from "./masks";
import type { Picture } from "./picture";
import type { FromServer, LayerBegin } from "./protocol";
import type { Transfers } from "./transfers";

/** Apply one event, and note its number where the server can send it again. Other messages change nothing. */
export async function apply(picture: Picture, message: FromServer, transfers: Transfers): Promise<void> {
  switch (message.type) {
    case "queued":
      picture.position = message.position;
      picture.startsIn = message.starts_in ?? null;
      return;
    case "started":
      picture.phase = "drawing";
      break;
    case "notice":
      break;
    case "progress":
      picture.phase = "drawing";
      picture.progress = message;
      return;
    case "preview":
      return picture.addPreview(message);
    case "masks":
      picture.masks.push(await unpackMasks(message));
      break;
    case "layer_begin":
      return transfers.begin(message);
    case "layer_end": {
      const layer = transfers.end(message.transfer);
      if (layer === undefined) return;
      await picture.addLayer(layer.begin as LayerBegin, layer.bytes);
      break;
    }
    case "done":
      picture.finish(message);
      break;
    case "cancelled":
      picture.phase = "cancelled";
      break;
    case "failed":
      picture.phase = "failed";
      break;
    default: // also events that a newer server sends: they have numbers, too
  }
  if ("seq" in message) picture.seq = message.seq;
}
