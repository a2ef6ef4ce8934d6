"""Owns a record batch as no well-behaved client writes it: in which a header's name is not UTF-8."""

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c

_NAME = "a-name-to-be-broken"
_CRC_OFFSET, _ATTRIBUTES_OFFSET = 17, 21


class OddBatch(BatchBuilder):  # type: ignore[misc]  # aiokafka ships no types
    """A batch of the values for `AIOKafkaProducer.send_batch`; that at the index `broken` has the header."""

    def __init__(self, values: list[bytes], broken: int) -> None:
        super().__init__(batch_size=1_000_000, compression_type=0)
        for index, value in enumerate(values):
            headers = [(_NAME, b"value")] if index == broken else []
            self.append(timestamp=None, key=b"org-1", value=value, headers=headers)

    def _build(self) -> bytearray:
        written: bytearray = super()._build()
        at = written.find(_NAME.encode())
        if at >= 0:
            written[at] = 0xFF
            written[_CRC_OFFSET:_ATTRIBUTES_OFFSET] = calc_crc32c(bytes(written[_ATTRIBUTES_OFFSET:])).to_bytes(4)
        return written
