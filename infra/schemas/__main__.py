"""Runs the writing of the documents: `python -m infra.schemas`."""

from pathlib import Path

from infra.schemas.documents import documents, write

if __name__ == "__main__":
    folder = Path(__file__).parent
    for name in write(folder, documents()):
        print(f"infra/schemas/{name}")
