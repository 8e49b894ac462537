"""`python -m talking_face`; see `talking_face.cli`."""

import sys

from talking_face.cli import main

if __name__ == "__main__":
    sys.exit(main())
